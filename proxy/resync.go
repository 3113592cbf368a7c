package proxy

import (
	"net/http"
	"slices"
	"strconv"

	"aniproxy/internal/status"
)

// The modes of a resync that are told apart here; the mirror knows which others
// there are.
const (
	modeIncremental = "incremental" // where nobody says otherwise
	modeFull        = "full"
	modeVerify      = "verify"
	modeUser        = "user"
)

// resync starts a run of the mirror's upkeep. An empty body asks for the
// usual one.
func (s *Server) resync(c *call) error {
	var in params
	if c.Request().ContentLength != 0 {
		var err error
		if in, err = s.read(c); err != nil {
			return err
		}
	}
	request, err := s.resyncRequest(&in)
	if err != nil {
		return err
	}
	return s.act(c, resyncTarget(&request), func(a *acted) error {
		jobID, err := s.o.Mirror.Start(request)
		if err != nil {
			return err
		}
		a.detail = "job " + jobID
		return a.tell(http.StatusAccepted, map[string]string{"job_id": jobID})
	})
}

// resyncTarget is what the audit log says of a request, without the number of
// a person. A mode is what somebody made up until the mirror knows it.
func resyncTarget(r *status.Request) string {
	target := "unknown mode"
	switch {
	case r.Mode == modeUser && r.UserID != 0:
		target = "user " + strconv.FormatInt(r.UserID, 10)
	case r.Mode == modeUser:
		target = "those who have a number"
	case slices.Contains([]string{modeIncremental, modeFull, modeVerify}, r.Mode):
		target = r.Mode
	}
	if r.Force {
		target += ", forced"
	}
	return target
}

// resyncRequest reads what is asked for. A run costs the account's budget, so
// what contradicts itself is refused and not guessed at: whoever asks for one
// person by an id that cannot be read does not mean everybody.
func (s *Server) resyncRequest(in *params) (status.Request, error) {
	r := status.Request{Mode: in.optional(paramMode), Trigger: "request", Force: in.flag(paramForce)}
	byID, byNumber := in.given(paramUserID), in.given(paramANI)
	switch {
	case in[paramMode].kind == unreadable:
		r.Mode = "unreadable" // which no mirror knows, and says so with those it knows
	case r.Mode == "" && (byID || byNumber):
		r.Mode = modeUser
	case r.Mode == "":
		r.Mode = modeIncremental
	}
	switch {
	case byID && byNumber:
		return r, errBadRequest(`one person is named by "user_id" or by "ani", not by both`)
	case (byID || byNumber) && r.Mode != modeUser:
		return r, errBadRequest(`"user_id" and "ani" go with the mode "user", or with none`)
	case !byID && !byNumber && r.Mode == modeUser:
		return r, errBadRequest(`the mode "user" needs a "user_id" or an "ani"`)
	case r.Force && r.Mode != modeFull:
		return r, errBadRequest(`"force" goes with the mode "full": it passes over the guard against mass deletion`)
	case byID:
		if r.UserID = in.whole(paramUserID); r.UserID == 0 {
			return r, errBadRequest(`"user_id" must be a whole number above 0`)
		}
	case byNumber:
		var ok bool
		if r.Number, ok = s.o.Numbers.Key(in.optional(paramANI)); !ok {
			return r, errBadRequest(`"ani" must be a phone number, for example +15135550123`)
		}
	}
	return r, nil
}
