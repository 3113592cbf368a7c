package erasure

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

// count is how often something is among what was done.
func count(did []string, what string) (n int) {
	for _, d := range did {
		if d == what {
			n++
		}
	}
	return n
}

// Whoever waits asks again every two seconds, and an overwriting of a large
// file takes longer than an answer waits for it.
func TestWhoAsksAgainSeesTheEndOfALongOverwriting(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *scene) {
		s.mirror.takes = 6 * time.Second
		began := time.Now()
		e := s.erase(t)
		for !e.Complete && time.Since(began) < time.Hour {
			<-time.After(2 * time.Second)
			s.nothing = true
			e = s.erase(t)
		}
		if took := time.Since(began); took != 6*time.Second {
			t.Errorf("it is complete after %v, want one overwriting's 6 s", took)
		}
		did := s.took()
		if n := count(did, "memory"); n != 1 {
			t.Errorf("the memory was emptied %d times: %v", n, did)
		}
		if n := count(did, "overwrite mirror"); n != 1 {
			t.Errorf("the mirror was overwritten %d times: %v", n, did)
		}
		if e = s.erase(t); !e.Complete {
			t.Errorf("asked once more it is %+v", e)
		}
	})
}

func TestAnOverwritingMayTakeAsLongAsTheDiskNeeds(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *scene) {
		s.mirror.takes = 5 * time.Minute
		s.erase(t)
		<-time.After(5*time.Minute + time.Second)
		s.nothing = true
		if e := s.erase(t); !e.Complete {
			t.Errorf("after 5 minutes it is %+v", e)
		}
		s.nothing = false
		if e := s.erase(t); !e.Until.Equal(time.Now().Add(10 * time.Minute)) {
			t.Errorf("the next is promised for %v from now, want 10 minutes: one may be under way", time.Until(e.Until))
		}
	})
}

func TestNothingFreedAndNothingOwedIsComplete(t *testing.T) {
	inBubble(t, func(s *scene) { s.nothing = true }, func(t *testing.T, s *scene) {
		if e := s.erase(t); !e.Complete {
			t.Errorf("it is %+v", e)
		}
		if did := s.took(); count(did, "overwrite mirror") > 0 {
			t.Errorf("what was done: %v", did)
		}
	})
}

// A step that the mirror takes after its caller has given up frees something
// that no pass before has covered.
func TestWhatIsFreedAfterAFaultIsWaitedFor(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *scene) {
		s.mirrorErr = errors.New("the writer is slow")
		if _, err := s.Erase(t.Context(), 5); err == nil {
			t.Fatal("no error")
		}
		synctest.Wait()
		s.took()
		s.mirrorErr, s.nothing = nil, true
		s.mirror.free()
		if e := s.erase(t); !e.Complete {
			t.Errorf("it is %+v", e)
		}
		if did := s.took(); count(did, "memory") != 1 || count(did, "overwrite mirror") != 1 {
			t.Errorf("what was done: %v", did)
		}
	})
}

func TestCommentsOfNobodyKnownAreToldOf(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, s *scene) {
		s.outbox.ownerless = 3
		e := s.erase(t)
		i := slices.IndexFunc(e.Steps, func(s status.Step) bool { return s.Name == "outbox" })
		if step := e.Steps[i]; step.State != "done" || !strings.Contains(step.Note, "3 comments") {
			t.Errorf("the step is %+v", step)
		}
	})
}

// An intake that was let through before an erasure is on disk after it.
func TestWhatComesDuringAnErasureIsErasedToo(t *testing.T) {
	for name, at := range map[string]time.Duration{
		"before the overwriting ends": time.Second,
		"after the overwriting":       10 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, s *scene) {
				s.mirror.takes = 2 * time.Second
				time.AfterFunc(at, func() {
					s.outbox.mu.Lock()
					defer s.outbox.mu.Unlock()
					s.outbox.has = 1
				})
				s.erase(t)
				<-time.After(lateAfter + time.Second)
				s.outbox.mu.Lock()
				left, whose := s.outbox.has, s.outbox.whose
				s.outbox.mu.Unlock()
				differ(t, "whose records were searched for", []caller.Erasure{{UserID: 5, Tickets: []int64{10, 11}, Users: 1}}, whose)
				did := s.took()
				if left > 0 || s.outbox.OverwriteDue() || count(did, "overwrite outbox") != 2 {
					t.Errorf("%d are left, overwriting due %v; what was done: %v", left, s.outbox.OverwriteDue(), did)
				}
			})
		})
	}
}

func TestOnceLiftedWhatComesStays(t *testing.T) {
	inBubble(t, func(s *scene) { s.lifted = true }, func(t *testing.T, s *scene) {
		s.erase(t)
		if _, err := s.Lift(t.Context(), 5); err != nil {
			t.Fatal(err)
		}
		s.took()
		<-time.After(time.Hour)
		differ(t, "what is done", []string(nil), s.took())
	})
}

func TestSettleComesBeforeRunAndIsNotDoneTwice(t *testing.T) {
	inBubble(t, func(s *scene) {
		s.erased, s.outbox.has = []caller.Erasure{{UserID: 4}}, 1
		if err := s.Settle(t.Context()); err != nil {
			t.Error(err)
		}
		differ(t, "what Settle does", []string{"outbox again"}, s.took())
	}, func(t *testing.T, s *scene) {
		differ(t, "what Run does", []string{"overwrite outbox"}, s.took())
	})
}

func TestARecordThatCannotBeReadStopsNobody(t *testing.T) {
	inBubble(t, func(s *scene) {
		s.erased, s.outbox.damaged = []caller.Erasure{{UserID: 4}}, errors.New("record 7 is damaged")
		if err := s.Settle(t.Context()); err != nil {
			t.Error(err)
		}
	}, func(t *testing.T, s *scene) {
		<-time.After(24 * time.Hour)
		synctest.Wait()
		if n := strings.Count(s.log.String(), "record 7"); n != 1 {
			t.Errorf("the log tells of it %d times:\n%s", n, s.log)
		}
		if n := count(s.took(), "outbox again"); n < 25 || n > 40 {
			t.Errorf("the outbox was searched %d times in a day", n)
		}
	})
}
