package proxy

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"aniproxy/internal/status"
)

// eraseLimit is how long an erasure may take before it is told how far it is.
// It is below the 30 s after which the answer could not be written any more.
const eraseLimit = 25 * time.Second

// The answer to an erasure. until is "" where all is done.
type (
	erasureJSON struct {
		UserID   string     `json:"user_id"`
		Complete bool       `json:"complete"`
		Until    string     `json:"until"`
		Steps    []stepDone `json:"steps"`
	}
	stepDone struct {
		Name  string `json:"name"`
		State string `json:"state"`
		Count int64  `json:"count"`
		Note  string `json:"note"`
	}
)

// erase takes a person out. Whoever is not known is kept out all the same. An
// admin who hangs up, or whose connection breaks, has asked: the erasure goes
// on without them, and asking again tells how far it is.
func (s *Server) erase(c *call) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), eraseLimit)
	defer cancel()
	return s.act(c, userTarget(id), func(a *acted) error {
		e, err := s.o.Eraser.Erase(ctx, id)
		a.detail = howFar(&e)
		if err != nil {
			return &erasureError{what: "erase", err: err}
		}
		code := http.StatusOK
		if !e.Complete {
			code = http.StatusAccepted
		}
		return a.tell(code, newErasureJSON(id, &e))
	})
}

// howFar is how far an erasure got, in a line for the audit log.
func howFar(e *status.Erasure) string {
	steps := make([]string, len(e.Steps))
	for i, step := range e.Steps {
		steps[i] = step.Name + " " + step.State
	}
	return strings.Join(steps, ", ")
}

func userTarget(id int64) string { return "user " + strconv.FormatInt(id, 10) }

func newErasureJSON(id int64, e *status.Erasure) erasureJSON {
	j := erasureJSON{
		UserID: strconv.FormatInt(id, 10), Complete: e.Complete, Until: moment(e.Until), Steps: make([]stepDone, 0, len(e.Steps)),
	}
	for _, step := range e.Steps {
		j.Steps = append(j.Steps, stepDone(step))
	}
	return j
}

// liftTombstone lets a person back in. They come by their next change, or when
// they are asked for.
func (s *Server) liftTombstone(c *call) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), eraseLimit)
	defer cancel()
	return s.act(c, userTarget(id), func(a *acted) error {
		was, err := s.o.Eraser.Lift(ctx, id)
		if err != nil {
			return &erasureError{what: "lift a tombstone", err: err}
		}
		if a.detail = "there was no tombstone"; was {
			a.detail = "lifted"
		}
		return a.tell(http.StatusOK, struct {
			UserID string `json:"user_id"`
			Lifted bool   `json:"lifted"`
		}{strconv.FormatInt(id, 10), was})
	})
}

// erasureError is a step that could not be taken.
type erasureError struct {
	what string
	err  error
}

func (e *erasureError) Error() string { return fmt.Sprintf("%s: %v", e.what, e.err) }

func (e *erasureError) Unwrap() error { return e.err }

func (e *erasureError) fault() *fault {
	return &fault{
		status: http.StatusServiceUnavailable,
		detail: "not all of it could be done; the fault is ours and is in the log under the request id. Ask again: each step may be taken twice",
		header: http.Header{"Retry-After": {"1"}},
	}
}
