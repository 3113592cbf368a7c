package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
	"aniproxy/internal/speech"
)

const (
	// maxIdempotencyKey is what Zendesk itself takes of one.
	maxIdempotencyKey = 255
	// maxInteraction is far above a UUID, which is what Webex sends.
	maxInteraction = 128
	// maxSubject is what Zendesk shows of a subject in a list.
	maxSubject = 150
	// longestCall bounds a duration: what is longer is a broken variable.
	longestCall = 48 * time.Hour
)

// queuedJSON is the answer to what was accepted, and to the same again.
type queuedJSON struct {
	ID     string       `json:"id"`
	Status outbox.State `json:"status"`
	Public bool         `json:"public"`
}

// comment takes a comment for a ticket. 202 says that it is on disk; it reaches
// Zendesk when Zendesk can be reached.
func (s *Server) comment(c *call) error {
	ticketID, err := pathID(c)
	if err != nil {
		return err
	}
	in, err := s.read(c)
	if err != nil {
		return err
	}
	r := outbox.Record{
		ID: s.o.RandomID(), Kind: outbox.Comment, Client: c.client.name, TicketID: ticketID,
		Public: in.flag(paramPublic) && s.o.AllowPublic, InteractionID: in.line(paramInteraction, maxInteraction),
	}
	intake, err := s.intake(c, &in, r, fmt.Sprint(ticketID))
	if err != nil {
		return err
	}
	if done, err := s.again(c, &intake); done {
		return err
	}
	if intake.Record.Body, err = s.words(&in); err != nil {
		return err
	}
	told, err := s.mayWrite(c, outbox.ToldTicket, ticketID)
	if err != nil {
		return err
	}
	if !told {
		return errNotFound("this client was told of no such ticket in the last 48 hours")
	}
	intake.Record.UserID = s.requesterOf(ticketID)
	return s.accept(c, &intake)
}

// ticket takes a new ticket of somebody.
func (s *Server) ticket(c *call) error {
	in, err := s.read(c)
	if err != nil {
		return err
	}
	r := outbox.Record{
		ID: s.o.RandomID(), Kind: outbox.Ticket, Client: c.client.name,
		Body: paragraph(in.written(paramBody)), Subject: clean(in.written(paramSubject), maxSubject),
		Public: in.flag(paramPublic) && s.o.AllowPublic, InteractionID: in.line(paramInteraction, maxInteraction),
	}
	// An interaction opens one ticket, whoever it turns out to be from.
	intake, err := s.intake(c, &in, r, "")
	if err != nil {
		return err
	}
	if done, err := s.again(c, &intake); done {
		return err
	}
	made := &intake.Record
	if made.Body == "" {
		made.Body = made.Subject
	}
	if made.Body == "" {
		return errUnprocessable(`a ticket needs a "body"`)
	}
	if made.Subject == "" {
		made.Subject = clean(made.Body, maxSubject)
	}
	if made.UserID, err = s.requester(c, &in); err != nil {
		return err
	}
	return s.accept(c, &intake)
}

// requester is whose ticket it is: who was named, if this client was told of
// them, or the one person who has the number. A ticket in the wrong person's
// name is worse than none, so a guess will not do.
func (s *Server) requester(c *call, in *params) (int64, error) {
	if id := in.whole(paramUserID); id != 0 {
		told, err := s.mayWrite(c, outbox.ToldUser, id)
		if err == nil && !told {
			err = errNotFound("this client was told of no such user in the last 48 hours")
		}
		return id, err
	}
	if in[paramANI].kind == absent {
		return 0, errBadRequest(`one of the keys "ani" and "user_id" is needed`)
	}
	a, err := s.ask(c, in, false)
	if err != nil {
		return 0, err
	}
	choice := s.o.TicketPolicy.Choose(a, 0)
	c.outcome = choice.Outcome
	switch {
	case choice.Caller != nil && !choice.Guessed:
		return choice.Caller.User.ID, nil
	case choice.Outcome == caller.Unavailable:
		return 0, errLater("who has this number cannot be found out now")
	default:
		return 0, errUnprocessable(fmt.Sprintf(`"ani" is nobody's alone (%s): give a "user_id"`, a.Outcome))
	}
}

// words are what a comment says: the text that was given, or the outcome of
// the call in words.
func (s *Server) words(in *params) (string, error) {
	if body := paragraph(in.written(paramBody)); body != "" {
		return body, nil
	}
	outcome := in.line(paramOutcome, maxText)
	if outcome == "" {
		return "", errUnprocessable(`a comment needs a "body", or an "outcome" to be worded`)
	}
	duration := time.Duration(min(in.whole(paramDuration), int64(longestCall/time.Second))) * time.Second
	body, ok := s.o.Voices.Summarize(speech.Summary{
		Outcome: outcome, Agent: in.line(paramAgent, maxText), Queue: in.line(paramQueue, maxText), Duration: duration,
	})
	if !ok {
		return "", errUnprocessable(`"outcome" is none of ` + strings.Join(speech.Outcomes(), ", ") + `: give one of these, or a "body"`)
	}
	return body, nil
}

// paragraph is a text of several lines without what is no text.
func paragraph(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
}

// intake says when a record is the same as one before: the same key that a
// client made up for it, else the same interaction with the same outcome, else
// the same text within a short while. What it is for, and the client, are
// always part of it.
func (s *Server) intake(c *call, in *params, r outbox.Record, what string) (outbox.Intake, error) {
	key, err := idempotencyKey(c.Request())
	intake := outbox.Intake{Record: r, Keep: outbox.KeepSame}
	switch interaction := in.optional(paramInteraction); {
	case err != nil:
		return intake, err
	case key != "":
		intake.Same = outbox.DigestOf("key", r.Client, string(r.Kind), what, key)
	case interaction != "":
		intake.Same = outbox.DigestOf("interaction", r.Client, string(r.Kind), what, interaction, in.line(paramOutcome, maxText))
	default:
		intake.Same = outbox.DigestOf("text", r.Client, string(r.Kind), what, fmt.Sprint(r.Public),
			in.written(paramBody), in.written(paramSubject), in.written(paramUserID), in.written(paramANI),
			in.optional(paramOutcome), in.optional(paramAgent), in.optional(paramQueue), in.optional(paramDuration))
		intake.Keep = s.o.DedupeWindow
	}
	return intake, nil
}

// again answers what is the same as a record before as that was answered:
// whatever the rest of the request says by now, and though the telling was long
// ago.
func (s *Server) again(c *call, in *outbox.Intake) (done bool, err error) {
	r, ok, err := s.o.Outbox.Same(*in)
	switch {
	case err != nil:
		return true, errOutbox(err)
	case ok:
		return true, c.json(http.StatusAccepted, queuedJSON{r.ID, r.State, r.Public})
	}
	return false, nil
}

// accept puts a record into the outbox.
func (s *Server) accept(c *call, in *outbox.Intake) error {
	r, _, err := s.o.Outbox.Accept(c.Request().Context(), *in)
	if err != nil {
		return errOutbox(err)
	}
	return c.json(http.StatusAccepted, queuedJSON{r.ID, r.State, r.Public})
}

// mayWrite tells whether a client may write to something: what it was told of,
// though it has been solved since, and with the scope directory whatever the
// mirror would show it.
func (s *Server) mayWrite(c *call, kind outbox.Told, id int64) (bool, error) {
	told, err := s.o.Outbox.WasTold(c.client.name, kind, id, outbox.ToldFor)
	if err != nil {
		return false, errOutbox(err)
	}
	if told || !c.client.may(ScopeDirectory) {
		return told, nil
	}
	if kind == outbox.ToldUser {
		who, ok, err := s.o.Directory.Caller(id)
		return ok && who.User.Active, err
	}
	t, ok, err := s.o.Directory.Ticket(id)
	return ok && s.o.TicketPolicy.Shows(&t), err
}

// requesterOf is whose ticket it is, by which an erasure finds its comments
// when the mirror has forgotten the ticket. 0 where the mirror does not hold it
// as unresolved, or cannot be read: the comment is taken all the same.
func (s *Server) requesterOf(ticketID int64) int64 {
	t, ok, err := s.o.Directory.Ticket(ticketID)
	if err != nil || !ok {
		return 0
	}
	return t.RequesterID
}

// tell notes whom and which tickets an answer tells a client of, as far as it
// may read them.
func (s *Server) tell(c *call, choice *caller.Choice) {
	if choice.Caller == nil {
		return
	}
	name, readable := c.client.name, c.client.fields
	if readable.has(fUserID) {
		s.o.Outbox.Tell(name, outbox.ToldUser, choice.Caller.User.ID)
	}
	for i, f := range [...]field{fTicketID, fTicket2ID, fTicket3ID} {
		if t := choice.Tickets[i]; t != nil && readable.has(f) {
			s.o.Outbox.Tell(name, outbox.ToldTicket, t.ID)
		}
	}
}

// tellAll notes a person and all of theirs that is shown.
func (s *Server) tellAll(c *call, who *caller.Caller) {
	s.o.Outbox.Tell(c.client.name, outbox.ToldUser, who.User.ID)
	for i := range who.Open {
		if t := &who.Open[i]; s.o.TicketPolicy.Shows(t) {
			s.o.Outbox.Tell(c.client.name, outbox.ToldTicket, t.ID)
		}
	}
}

// idempotencyKey is the header of that name, "" where it was not sent.
func idempotencyKey(r *http.Request) (string, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if len(values) > 1 || key == "" || len(key) > maxIdempotencyKey || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", errBadRequest(fmt.Sprintf("an Idempotency-Key is one header of 1 to %d printable ASCII characters", maxIdempotencyKey))
	}
	return key, nil
}

// commentJSON says where a record stands, flat, so that a flow can read it.
type commentJSON struct {
	ID        string       `json:"id"`
	Status    outbox.State `json:"status"`
	Attempts  int          `json:"attempts"`
	Error     string       `json:"error"`
	TicketID  string       `json:"ticket_id"` // where it arrived, or is to arrive
	CreatedAt string       `json:"created_at"`
}

func newCommentJSON(r *outbox.Record) commentJSON {
	j := commentJSON{
		ID: r.ID, Status: r.State, Attempts: r.Attempts, Error: none, TicketID: none, CreatedAt: rfc3339(r.Accepted.Unix()),
	}
	if r.Error != "" {
		j.Error = clean(r.Error, maxText)
	}
	for _, id := range []int64{r.Landed, r.TicketID} {
		if id != 0 {
			j.TicketID = fmt.Sprint(id)
			break
		}
	}
	return j
}

// commentState shows a client how far a comment or a ticket of its own is.
func (s *Server) commentState(c *call) error {
	r, ok, err := s.o.Outbox.Record(c.Param("id"))
	if err != nil {
		return errOutbox(err)
	}
	if !ok || r.Client != c.client.name {
		return errNotFound("this client has no comment of this id")
	}
	return c.json(http.StatusOK, newCommentJSON(&r))
}

// The answers of /v1/admin/outbox.
type (
	recordsJSON struct {
		Records []recordJSON `json:"records"` // newest first
		// Next is where the next page begins, 0 where there is none.
		Next uint64 `json:"next"`
	}
	recordJSON struct {
		commentJSON
		Kind     outbox.Kind `json:"kind"`
		Client   string      `json:"client"`
		UserID   string      `json:"user_id"`
		InDoubt  bool        `json:"in_doubt"`
		FollowUp bool        `json:"follow_up"`
		NextTry  string      `json:"next_try"`
		Settled  string      `json:"settled_at"`
		// Subject and Body only where they were asked for.
		Subject string `json:"subject,omitempty"`
		Body    string `json:"body,omitempty"`
	}
)

const (
	usualRecords = 100
	maxRecords   = 1000
)

// outboxRecords lists what waits, what failed, and what was delivered lately.
// What they say is shown only on demand.
func (s *Server) outboxRecords(c *call) error {
	in, err := s.read(c)
	if err != nil {
		return err
	}
	state := outbox.State(in.optional(paramState))
	if !slices.Contains([]outbox.State{"", outbox.Queued, outbox.Delivered, outbox.Failed}, state) {
		return errBadRequest(`"state" is queued, delivered or failed`)
	}
	limit := usualRecords
	if given := in.whole(paramLimit); given > 0 {
		limit = int(min(given, maxRecords))
	}
	target := "records"
	if state != "" {
		target += " " + string(state)
	}
	if in.flag(paramContent) {
		target += ", with content"
	}
	return s.act(c, target, func(a *acted) error { return s.listed(a, &in, state, limit) })
}

func (s *Server) listed(a *acted, in *params, state outbox.State, limit int) error {
	list, err := s.o.Outbox.List(state, uint64(in.whole(paramBefore)), limit)
	if err != nil {
		return errOutbox(err)
	}
	j := recordsJSON{Records: make([]recordJSON, 0, len(list))}
	for i := range list {
		j.Records = append(j.Records, newRecordJSON(&list[i], in.flag(paramContent)))
	}
	if len(list) == limit {
		j.Next = list[len(list)-1].Seq
	}
	return a.tell(http.StatusOK, j)
}

func newRecordJSON(r *outbox.Record, content bool) recordJSON {
	j := recordJSON{
		commentJSON: newCommentJSON(r), Kind: r.Kind, Client: r.Client, UserID: none,
		InDoubt: r.InDoubt, FollowUp: r.FollowUp, NextTry: moment(r.NextTry), Settled: moment(r.Settled),
	}
	if r.Kind == outbox.Ticket && r.UserID != 0 {
		j.UserID = fmt.Sprint(r.UserID)
	}
	if content {
		j.Subject, j.Body = r.Subject, r.Body
	}
	return j
}

// outboxRetry queues again what has failed.
func (s *Server) outboxRetry(c *call) error {
	id := c.Param("id")
	_, known, err := s.o.Outbox.Record(id)
	switch {
	case err != nil:
		return errOutbox(err)
	case !known: // what stands in the path is anybody's text then
		return errNotFound("the outbox has no record of this id")
	}
	return s.act(c, "record "+id, func(a *acted) error { return s.retried(a, id) })
}

func (s *Server) retried(a *acted, id string) error {
	r, err := s.o.Outbox.Retry(id)
	switch {
	case errors.Is(err, outbox.ErrUnknown):
		return errNotFound("the outbox has no record of this id")
	case errors.Is(err, outbox.ErrNotFailed):
		return &fault{status: http.StatusConflict, detail: "only a failed record can be retried; this one is " + string(r.State)}
	case err != nil:
		return errOutbox(err)
	}
	return a.tell(http.StatusAccepted, newRecordJSON(&r, false))
}

// errOutbox is the answer where the outbox could not be read or written: what
// is not on disk must not be called accepted.
func errOutbox(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return errLater("the request ended before the outbox had it")
	}
	return &outboxError{err}
}

// outboxError is logged, as a fault of ours, and answered as one that passes.
type outboxError struct{ err error }

func (e *outboxError) Error() string { return "the outbox: " + e.err.Error() }

func (e *outboxError) Unwrap() error { return e.err }
