package erasure

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"aniproxy/internal/caller"
	"aniproxy/internal/privacytest"
	"aniproxy/internal/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(written.Around(m)) }

// written is what the tests of this package have logged, and about whom.
var written = privacytest.New()

// rooms stands for all that is emptied, and notes what is asked of it.
type rooms struct {
	mu    sync.Mutex
	asked []string

	went      caller.Erasure
	mirrorErr error
	outboxErr error
	nothing   bool // the mirror frees nothing
	lifted    bool
	liftErr   error
	erased    []caller.Erasure
	erasedErr error
}

func (r *rooms) note(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, what)
}

func (r *rooms) took() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := r.asked
	r.asked = nil
	return asked
}

func (r *rooms) Purge() { r.note("memory") }

// paper is a file that can be overwritten.
type paper struct {
	*rooms
	name string

	mu    sync.Mutex
	due   bool
	freed uint64
	pages int
	err   error
	// takes is how long an overwriting takes; it ends with its context, and where
	// it waits for a backup, after a while.
	takes  time.Duration
	backup bool
}

// patience is how long a paper waits for a backup.
const patience = 20 * time.Second

func (p *paper) Freed() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.freed
}

// free is an erasure that has taken something out.
func (p *paper) free() { p.set(func(p *paper) { p.due, p.freed = true, p.freed+1 }) }

func (p *paper) OverwriteDue() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.due
}

func (p *paper) set(change func(p *paper)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *paper) Overwrite(ctx context.Context) (int, error) {
	p.note("overwrite " + p.name)
	p.mu.Lock()
	takes, err, freed := p.takes, p.err, p.freed
	if p.backup {
		takes, err = patience, errors.New("waited for a backup")
	}
	p.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return 1, ctx.Err()
	}
	if err != nil {
		return 1, err
	}
	p.set(func(p *paper) { p.due = p.freed != freed })
	return p.pages, nil
}

type mirrorRoom struct{ paper }

func (m *mirrorRoom) Erase(ctx context.Context, id int64) (caller.Erasure, error) {
	m.note("mirror")
	if err := ctx.Err(); err != nil {
		return caller.Erasure{}, err
	}
	if m.mirrorErr != nil {
		return caller.Erasure{}, m.mirrorErr
	}
	if !m.nothing {
		m.free()
	}
	e := m.went
	e.UserID = id
	return e, nil
}

func (m *mirrorRoom) Lift(context.Context, int64) (bool, error) {
	m.note("lift")
	return m.lifted, m.liftErr
}

func (m *mirrorRoom) Erasures(context.Context) ([]caller.Erasure, error) {
	m.rooms.mu.Lock()
	defer m.rooms.mu.Unlock()
	return m.erased, m.erasedErr
}

// outboxRoom has some records that a search finds.
type outboxRoom struct {
	paper
	has       int
	ownerless int
	damaged   error
	whose     []caller.Erasure // of the last search
}

func (o *outboxRoom) EraseAgain(_ context.Context, people []caller.Erasure) (int, error) {
	o.note("outbox again")
	o.mu.Lock()
	n, err := o.has, o.damaged
	o.has, o.whose = 0, people
	o.mu.Unlock()
	if n > 0 {
		o.free()
	}
	return n, err
}

func (o *outboxRoom) Ownerless(context.Context) (int, error) { return o.ownerless, nil }

func (o *outboxRoom) Erase(_ context.Context, userID int64, tickets []int64) (int, error) {
	o.note("outbox")
	if o.outboxErr != nil {
		return 0, o.outboxErr
	}
	if len(tickets) > 0 && !o.nothing {
		o.free()
	}
	return len(tickets), nil
}

// scene is an eraser in a bubble, with its Run, over rooms that are made up.
type scene struct {
	*rooms
	*Eraser
	mirror *mirrorRoom
	outbox *outboxRoom
	log    *bytes.Buffer
	end    func()
}

func inBubble(t *testing.T, before func(*scene), test func(t *testing.T, s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rooms{went: caller.Erasure{Users: 1, Tickets: []int64{10, 11}}}
		s := &scene{
			rooms: r, log: &bytes.Buffer{},
			mirror: &mirrorRoom{paper{rooms: r, name: "mirror", pages: 7}},
			outbox: &outboxRoom{paper: paper{rooms: r, name: "outbox", pages: 2}},
		}
		s.Eraser = New(Options{
			Mirror: s.mirror, Memory: r, Outbox: s.outbox, Logger: slog.New(slog.NewTextHandler(io.MultiWriter(s.log, written.Sink(t.Name())), nil)), Clock: time.Now,
		})
		if before != nil {
			before(s)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		s.end = sync.OnceFunc(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		defer s.end()
		synctest.Wait()
		test(t, s)
	})
}

func (s *scene) erase(t *testing.T) status.Erasure {
	t.Helper()
	e, err := s.Erase(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func done(name string, count int64) status.Step {
	return status.Step{Name: name, State: "done", Count: count}
}

func differ(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestAnErasureTakesItsStepsInOrder(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *scene) {
		differ(t, "the answer", status.Erasure{
			UserID: 5, Complete: true,
			Steps: []status.Step{done("tombstone", 1), done("mirror", 3), done("memory", 0), done("outbox", 2), done("overwrite", 9)},
		}, s.erase(t))
		differ(t, "what was done", []string{"mirror", "memory", "outbox", "overwrite mirror", "overwrite outbox", "outbox again"}, s.took())
		synctest.Wait()
		if !strings.Contains(s.log.String(), "user=5") {
			t.Errorf("the log does not tell of it: %s", s.log)
		}
	})
}

func TestAFileWithNothingToOverwriteIsLeftAlone(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *scene) {
		s.went = caller.Erasure{}
		differ(t, "the steps", []status.Step{
			done("tombstone", 1), done("mirror", 0), done("memory", 0), done("outbox", 0), done("overwrite", 7),
		}, s.erase(t).Steps)
		differ(t, "what was done", []string{"mirror", "memory", "outbox", "overwrite mirror", "outbox again"}, s.took())
	})
}

func TestOverwritingThatTakesLongIsPendingAndGoesOn(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *scene) {
		s.mirror.takes = 10 * time.Second
		began := time.Now()
		e := s.erase(t)
		if waited := time.Since(began); waited != 3*time.Second {
			t.Errorf("it was waited for %v", waited)
		}
		last := e.Steps[len(e.Steps)-1]
		if e.Complete || last.State != "pending" || !strings.Contains(last.Note, "backup") || !e.Until.Equal(time.Now().Add(time.Minute)) {
			t.Errorf("the answer is %+v", e)
		}
		<-time.After(8 * time.Second)
		s.took()
		s.mirror.set(func(p *paper) { p.takes = 0 })
		if e := s.erase(t); !e.Complete || !e.Until.IsZero() {
			t.Errorf("asked again it is %+v", e)
		}
	})
}

func TestOverwritingThatFailsIsTriedAgain(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *scene) {
		s.outbox.err = errors.New("the disk is full")
		e := s.erase(t)
		if last := e.Steps[len(e.Steps)-1]; e.Complete || last.Note != "the disk is full" {
			t.Errorf("the answer is %+v", e)
		}
		s.took()
		s.outbox.set(func(p *paper) { p.err = nil })
		<-time.After(6 * time.Second)
		differ(t, "what was tried again", []string{"overwrite outbox", "outbox again"}, s.took())
		<-time.After(time.Minute)
		differ(t, "what is done a minute after the erasure", []string{"outbox again"}, s.took())
		<-time.After(time.Hour)
		differ(t, "what is tried once it is done", []string(nil), s.took())
		synctest.Wait()
		if n := strings.Count(s.log.String(), "cannot be overwritten"); n != 1 {
			t.Errorf("the log says %d times that it fails:\n%s", n, s.log)
		}
	})
}

func TestALongBackupIsToldOf(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *scene) {
		s.mirror.backup = true
		s.erase(t)
		<-time.After(patience)
		e := s.erase(t)
		if last := e.Steps[len(e.Steps)-1]; last.State != "pending" || last.Note != "waited for a backup" {
			t.Errorf("the answer is %+v", e)
		}
	})
}

func TestAPassUnderWayDoesNotCountForWhoComesLater(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *scene) {
		s.mirror.takes = 1500 * time.Millisecond
		var both sync.WaitGroup
		both.Go(func() {
			if !s.erase(t).Complete {
				t.Error("the first is not complete")
			}
		})
		<-time.After(time.Second)
		began := time.Now()
		e := s.erase(t)
		if waited := time.Since(began); !e.Complete || waited != 2*time.Second {
			t.Errorf("complete %v after %v; the pass that ended first had begun before", e.Complete, waited)
		}
		both.Wait()
	})
}

func TestWhatAKillHasLeftIsTakenUp(t *testing.T) {
	for _, left := range []string{"mirror", "outbox"} {
		inBubble(t, func(s *scene) {
			s.mirror.due, s.outbox.due = left == "mirror", left == "outbox"
		}, func(t *testing.T, s *scene) {
			differ(t, "what was done", []string{"overwrite " + left}, s.took())
		})
	}
}

func TestWhoWasErasedIsTakenOutOfARestoredOutbox(t *testing.T) {
	inBubble(t, func(s *scene) {
		s.erased, s.outbox.has = []caller.Erasure{{UserID: 4, Tickets: []int64{40}}, {UserID: 5}}, 2
	}, func(t *testing.T, s *scene) {
		differ(t, "what was done", []string{"outbox again", "overwrite outbox"}, s.took())
		s.erase(t)
		differ(t, "what is done later", []string{"mirror", "memory", "outbox", "overwrite mirror", "overwrite outbox", "outbox again"}, s.took())
	})
	inBubble(t, func(s *scene) { s.erasedErr = errors.New("cannot be read") }, func(t *testing.T, s *scene) {
		s.rooms.mu.Lock()
		s.erased, s.erasedErr, s.outbox.has = []caller.Erasure{{UserID: 4}}, nil, 1
		s.rooms.mu.Unlock()
		<-time.After(6 * time.Second)
		differ(t, "what is done once it can be", []string{"outbox again", "overwrite outbox"}, s.took())
	})
}

func TestAFaultStopsAtItsStep(t *testing.T) {
	fault := errors.New("the disk is full")
	for name, c := range map[string]struct {
		set   func(s *scene)
		step  string
		steps []status.Step
		did   []string
	}{
		"in the mirror": {
			set:  func(s *scene) { s.mirrorErr = fault },
			step: "mirror", did: []string{"mirror"},
		},
		"in the outbox": {
			set:  func(s *scene) { s.outboxErr = fault },
			step: "outbox", steps: []status.Step{done("tombstone", 1), done("mirror", 3), done("memory", 0)},
			did: []string{"mirror", "memory", "outbox", "overwrite mirror", "outbox again"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, c.set, func(t *testing.T, s *scene) {
				e, err := s.Erase(t.Context(), 5)
				var stopped *StepError
				if !errors.As(err, &stopped) || stopped.Step != c.step || !errors.Is(err, fault) || e.Complete {
					t.Errorf("complete %v, error %v", e.Complete, err)
				}
				differ(t, "the steps", c.steps, e.Steps)
				synctest.Wait()
				differ(t, "what was done", c.did, s.took())
				s.mirrorErr, s.outboxErr = nil, nil
				if e := s.erase(t); !e.Complete {
					t.Errorf("asked again it is %+v", e)
				}
			})
		})
	}
}

func TestAnErasureOutlastsWhoAskedForIt(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *scene) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.mirror.takes = time.Second
		e, err := s.Erase(ctx, 5)
		if err != nil || e.Complete || len(e.Steps) != 5 {
			t.Errorf("the answer is %+v, error %v", e, err)
		}
		<-time.After(2 * time.Second)
		if s.mirror.OverwriteDue() {
			t.Error("the overwriting ended with the request")
		}
	})
}

func TestAfterRunAnErasureIsPending(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *scene) {
		s.end()
		if e := s.erase(t); e.Complete || len(e.Steps) != 5 {
			t.Errorf("the answer is %+v", e)
		}
	})
}

func TestRunEndsInTheMiddleOfAPass(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *scene) {
		s.mirror.takes = time.Hour
		s.erase(t)
		s.end()
		if !s.mirror.OverwriteDue() {
			t.Error("what was not done is not due any more")
		}
	})
}

func TestLift(t *testing.T) {
	for name, c := range map[string]struct {
		lifted bool
		err    error
		did    []string
	}{
		"a tombstone":  {lifted: true, did: []string{"lift", "memory"}},
		"no tombstone": {did: []string{"lift"}},
		"a full disk":  {err: errors.New("the disk is full"), did: []string{"lift"}},
	} {
		inBubble(t, func(s *scene) { s.lifted, s.liftErr = c.lifted, c.err }, func(t *testing.T, s *scene) {
			was, err := s.Lift(t.Context(), 5)
			if was != c.lifted || !errors.Is(err, c.err) {
				t.Errorf("%s: was %v, error %v", name, was, err)
			}
			differ(t, name, c.did, s.took())
		})
	}
}
