package proxy

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"aniproxy/internal/audit"
)

// Audit is the log of what admins do. Record returns once the record is on
// disk; it may be called concurrently.
type Audit interface {
	Record(r audit.Record) error
}

// acted is what came of an action: the answer, which is sent once it is on
// record, and what the record says beside its status.
type acted struct {
	code   int
	body   []byte // JSON; nil is none
	detail string
}

// tell sets the answer.
func (a *acted) tell(code int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	a.code, a.body = code, body
	return nil
}

// act does what an admin asks for, or shows what an admin asks to see, and
// records it: that it is going to be done, before, and what became of it,
// after, before the admin is told. What cannot be recorded is not done. Where
// only the second record fails it has been done: that is logged, and the answer
// stays what it is.
//
// target says what is acted on in ids and modes, never by a number or a name,
// and so does what do writes as its detail. A request at fault is refused
// before act is called: there is nothing to record of it.
func (s *Server) act(c *call, target string, do func(*acted) error) error {
	r := s.auditRecord(c, audit.Intent)
	r.Target = target
	if err := s.o.Audit.Record(r); err != nil {
		s.metrics.unrecorded.Add(1)
		return &unrecordedError{err}
	}
	a := acted{code: http.StatusOK}
	if err := s.attempt(c, target, do, &a); err != nil {
		return err
	}
	if a.body == nil {
		return c.NoContent(a.code)
	}
	c.write(a.code, jsonType, a.body)
	return nil
}

// attempt does what act has announced and records what became of it.
func (s *Server) attempt(c *call, target string, do func(*acted) error, a *acted) error {
	r := s.auditRecord(c, audit.Outcome)
	r.Target, r.Result = target, "failed"
	r.Status = http.StatusInternalServerError // of a panic, on its way to the outermost step
	defer func() {
		r.Detail = a.detail
		s.mustRecord(c, r)
	}()
	if err := do(a); err != nil {
		f, _ := s.faultOf(c, err)
		r.Status = f.status
		return err
	}
	r.Result, r.Status = "done", a.code
	return nil
}

func (s *Server) auditRecord(c *call, event audit.Event) audit.Record {
	r := audit.Record{Event: event, Action: c.route.action, Client: c.clientName(), RequestID: c.id}
	if address := s.origin(c.Request()); address.IsValid() {
		r.Address = address.String()
	}
	return r
}

// mustRecord records what has happened already.
func (s *Server) mustRecord(c *call, r audit.Record) {
	if err := s.o.Audit.Record(r); err != nil {
		s.metrics.unrecorded.Add(1)
		s.log.LogAttrs(c.Request().Context(), slog.LevelError, "not recorded in the audit log",
			slog.String("event", string(r.Event)), slog.String("action", r.Action), slog.String("client", r.Client),
			slog.String("request_id", c.id), slog.Any("error", err))
	}
}

// refusalsEvery is how often a client's refused tries at an admin's routes are
// recorded: one that tries all day must not fill the disk, nor keep it busy.
const refusalsEvery = time.Second

// trespasses are the refused tries of each client. There are as many as there
// were clients since the start.
type trespasses struct {
	mu  sync.Mutex
	all map[string]*trespass
}

type trespass struct {
	last       time.Time
	suppressed uint64
}

// due tells whether a refusal is to be recorded, and how many were not before.
func (t *trespasses) due(client string, now time.Time) (suppressed uint64, due bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.all[client]
	if one == nil {
		one = &trespass{}
		t.all[client] = one
	} else if passed := now.Sub(one.last); passed >= 0 && passed < refusalsEvery {
		one.suppressed++
		return 0, false
	}
	suppressed, one.suppressed, one.last = one.suppressed, 0, now
	return suppressed, true
}

// refused records that a client has asked for what only an admin may. Who has
// no key at all is nobody to record: the log and the counts of failed log-ins
// tell of them.
func (s *Server) refused(c *call) {
	if c.route.scope != ScopeAdmin {
		return
	}
	suppressed, due := s.trespasses.due(c.clientName(), c.began)
	if !due {
		return
	}
	r := s.auditRecord(c, audit.Refused)
	r.Status, r.Suppressed = http.StatusForbidden, suppressed
	s.mustRecord(c, r)
}

// unrecordedError is an action that was not done, since it could not be
// recorded.
type unrecordedError struct{ err error }

func (e *unrecordedError) Error() string { return fmt.Sprintf("not done: %v", e.err) }

func (e *unrecordedError) Unwrap() error { return e.err }
