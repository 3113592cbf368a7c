package proxy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
	"aniproxy/internal/status"
)

// shelf is an Outbox in memory, on the clock of its world.
type shelf struct {
	clock   func() time.Time
	mu      sync.Mutex
	records []outbox.Record
	same    map[outbox.Digest]string // the id of the first
	until   map[outbox.Digest]time.Time
	told    map[string]time.Time
	state   status.Outbox
	err     error
	// failAccept is what Accept alone fails with.
	failAccept error
	// listed and retried count what an admin has asked for.
	listed  int
	retried []string
}

// put puts a record on the shelf as it is.
func (s *shelf) put(r outbox.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, r)
}

func newShelf(clock func() time.Time) *shelf {
	return &shelf{clock: clock, same: map[outbox.Digest]string{}, until: map[outbox.Digest]time.Time{}, told: map[string]time.Time{}}
}

func (s *shelf) Accept(_ context.Context, in outbox.Intake) (outbox.Record, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := cmp.Or(s.err, s.failAccept); err != nil {
		return outbox.Record{}, false, err
	}
	if in.Keep > 0 && s.clock().Before(s.until[in.Same]) {
		r, _ := s.find(s.same[in.Same])
		return *r, false, nil
	}
	r := in.Record
	r.Seq, r.State, r.Accepted = uint64(len(s.records)+1), outbox.Queued, s.clock()
	s.records = append(s.records, r)
	s.same[in.Same], s.until[in.Same] = r.ID, s.clock().Add(in.Keep)
	return r, true, nil
}

func (s *shelf) Same(in outbox.Intake) (outbox.Record, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.clock().Before(s.until[in.Same]) {
		return outbox.Record{}, false, s.err
	}
	r, ok := s.find(s.same[in.Same])
	return *r, ok, s.err
}

func (s *shelf) find(id string) (*outbox.Record, bool) {
	i := slices.IndexFunc(s.records, func(r outbox.Record) bool { return r.ID == id })
	if i < 0 {
		return nil, false
	}
	return &s.records[i], true
}

// all are the records accepted so far.
func (s *shelf) all() []outbox.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.records)
}

// change edits a record, as its delivery does.
func (s *shelf) change(id string, edit func(*outbox.Record)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.find(id); ok {
		edit(r)
	}
}

func (s *shelf) Record(id string) (outbox.Record, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.find(id); ok {
		return *r, true, s.err
	}
	return outbox.Record{}, false, s.err
}

func (s *shelf) List(state outbox.State, before uint64, limit int) ([]outbox.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed++
	var list []outbox.Record
	for _, r := range slices.Backward(s.records) {
		if (state == "" || r.State == state) && (before == 0 || r.Seq < before) && len(list) < limit {
			list = append(list, r)
		}
	}
	return list, s.err
}

func (s *shelf) Retry(id string) (outbox.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retried = append(s.retried, id)
	switch r, ok := s.find(id); {
	case !ok:
		return outbox.Record{}, outbox.ErrUnknown
	case r.State != outbox.Failed:
		return outbox.Record{}, outbox.ErrNotFailed
	default:
		r.State, r.Error = outbox.Queued, ""
		return *r, nil
	}
}

func (s *shelf) Status() status.Outbox { return s.state }

func (s *shelf) Tell(client string, kind outbox.Told, id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told[fmt.Sprint(client, " ", kind, " ", id)] = s.clock()
}

func (s *shelf) WasTold(client string, kind outbox.Told, id int64, within time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kinds := []outbox.Told{kind}
	switch kind { // what a search told of may be written to as well
	case outbox.ToldTicket:
		kinds = append(kinds, outbox.SearchedTicket)
	case outbox.ToldUser:
		kinds = append(kinds, outbox.SearchedUser)
	default:
	}
	for _, kind := range kinds {
		if at, ok := s.told[fmt.Sprint(client, " ", kind, " ", id)]; ok && s.clock().Sub(at) <= within {
			return true, s.err
		}
	}
	return false, s.err
}

// tellings are what was told to a client, as "kind id", sorted.
func (s *shelf) tellings(client string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for key := range s.told {
		if rest, ok := strings.CutPrefix(key, client+" "); ok {
			all = append(all, rest)
		}
	}
	slices.Sort(all)
	return all
}

// numbers reads what is in E.164 already.
type numbers struct{}

func (numbers) Key(phone string) (string, bool) {
	phone = strings.TrimSpace(phone)
	return phone, strings.HasPrefix(phone, "+") && len(phone) > 8
}

// Ticket and Objects know Ann's.
func (d *directory) Ticket(id int64) (caller.Ticket, bool, error) {
	for _, t := range ann().Open {
		if t.ID == id {
			t.RequesterID = ann().User.ID
			return t, true, d.err
		}
	}
	return caller.Ticket{}, false, d.err
}

func (d *directory) Objects(stream caller.Stream, ids []int64) ([][]byte, error) {
	var objects [][]byte
	for _, id := range ids {
		if stream == caller.Users {
			if c, ok, _ := d.Caller(id); ok && id == ann().User.ID {
				objects = append(objects, fmt.Appendf(nil, `{"id":%d,"name":%q,"phone":%q}`, id, c.User.Name, c.User.Phone))
			}
			continue
		}
		if t, ok, _ := d.Ticket(id); ok {
			objects = append(objects, fmt.Appendf(nil, `{"id":%d,"status":%q,"subject":%q,"requester_id":%d}`, id, t.Status, t.Subject, t.RequesterID))
		}
	}
	return objects, d.err
}

// eraser is an Eraser of whom it is asked for.
type eraser struct {
	mu     sync.Mutex
	erased []int64
	lifted []int64
	answer status.Erasure
	err    error
	// during is called while a person is erased.
	during func(ctx context.Context)
}

func (e *eraser) Erase(ctx context.Context, id int64) (status.Erasure, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.during != nil {
		e.during(ctx)
	}
	e.erased = append(e.erased, id)
	return e.answer, e.err
}

func (e *eraser) Lift(_ context.Context, id int64) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := slices.Contains(e.erased, id)
	e.lifted = append(e.lifted, id)
	return was, e.err
}

// notices takes in what webhooks name, as long as there is room.
type notices struct {
	mu   sync.Mutex
	all  []caller.Object
	full bool
}

func (n *notices) Notice(objects []caller.Object) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.full {
		return false
	}
	n.all = append(n.all, objects...)
	return true
}

// taken are the objects so far; they are then forgotten.
func (n *notices) taken() []caller.Object {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.all
	n.all = nil
	return all
}
