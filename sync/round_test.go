package sync

import (
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"aniproxy/internal/caller"
)

// inRounds has everybody read round and round.
func inRounds(o *Options) { o.RoundTakes = 0 }

func TestPauseOfARound(t *testing.T) {
	for _, tt := range []struct {
		people int64
		want   time.Duration
	}{
		{0, 10 * time.Minute},
		{100, 10 * time.Minute},
		{3_600, 10 * time.Minute},
		{10_000, 216 * time.Second},
		{1_000_000, 2160 * time.Millisecond},
		{10_000_000, time.Second},
	} {
		if got := roundPause(tt.people, roundTakes); got != tt.want {
			t.Errorf("%d people: %v, want %v", tt.people, got, tt.want)
		}
	}
}

// moved moves a further number without any event and without the users moving.
func (h *shelf) moveQuietly(number string, from, to int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a, b := h.users[from], h.users[to]
	a.Identities = &caller.Identities{}
	b.Identities = &caller.Identities{Phones: []string{number}, Numbers: []string{number}}
	h.users[from], h.users[to] = a, b
}

func TestRoundFindsWhatNobodyTells(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil, inRounds)
		var all []int64
		for id := int64(1); id <= 1000; id++ {
			h.put(id, "")
			all = append(all, id)
		}
		h.put(900, "", numberA)
		r.tell(all...)
		r.settle()
		h.moveQuietly(numberA, 900, 50)
		h.forget()
		// The first hundred are read ten minutes later; whoever had the number
		// is read at once then, long before the round comes to them.
		<-time.After(11 * time.Minute)
		r.settle()
		r.wantNumber(numberA, 50)

		<-time.After(100 * time.Minute)
		synctest.Wait()
		st := r.Status().Round
		if st.Read < 1000 || st.Ended.IsZero() || st.Began.IsZero() {
			t.Errorf("after a round: %+v", st)
		}
		read := map[int64]bool{}
		for _, a := range h.asked("users") {
			if len(a.ids) > 100 {
				t.Errorf("a request for %d", len(a.ids))
			}
			for _, id := range a.ids {
				read[id] = true
			}
		}
		if len(read) != 1000 {
			t.Errorf("%d people were read", len(read))
		}
	})
}

func TestRoundGoesOnAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		path := filepath.Join(t.TempDir(), "a.db")
		s := openStore(t, path)
		r := onShelf(t, h, s, inRounds)
		for id := int64(1); id <= 1000; id++ {
			h.put(id, "")
			r.tell(id)
		}
		r.settle()
		<-time.After(45 * time.Minute)
		synctest.Wait()
		held, err := s.Round()
		if err != nil || held.After == 0 || held.After >= 900 {
			t.Fatalf("the round stands at %+v, %v", held, err)
		}
		r.stop()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		again := openStore(t, path)
		h.forget()
		onShelf(t, h, again, inRounds)
		<-time.After(2 * time.Minute)
		synctest.Wait()
		if asked := h.asked("users"); len(asked) == 0 || asked[0].ids[0] != held.After+1 {
			t.Errorf("it went on with %v, want %d", asked, held.After+1)
		}
		if now, err := again.Round(); err != nil || !now.Began.Equal(held.Began) {
			t.Errorf("the round began %v, want %v: %v", now.Began, held.Began, err)
		}
	})
}

func TestRoundRestsAfterAFaultAndTakesNobodyOutInANumber(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil, inRounds)
		for id := int64(1); id <= 150; id++ {
			h.put(id, "")
			r.tell(id)
		}
		r.settle()
		h.set(func(h *shelf) { h.fail = func(string, []int64) error { return down } })
		h.forget()
		<-time.After(30 * time.Minute)
		synctest.Wait()
		if n := len(h.asked("users")); n < 18 || n > 31 {
			t.Errorf("%d tries in half an hour, want one a minute", n)
		}
		// Credentials that see nobody any more must not empty the mirror; one or
		// two who are gone are.
		h.set(func(h *shelf) {
			h.fail = nil
			for id := int64(1); id <= 100; id++ {
				delete(h.users, id)
			}
			delete(h.users, 120)
		})
		<-time.After(time.Hour)
		synctest.Wait()
		if n := r.store.Size().Users; n != 149 {
			t.Errorf("%d users are left, want 149", n)
		}
	})
}

func TestNobodyIsReadInRoundsWithoutIdentities(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil, inRounds, func(o *Options) { o.Identities = false })
		h.put(1, numberA)
		r.tell(1)
		r.settle()
		h.forget()
		<-time.After(24 * time.Hour)
		synctest.Wait()
		if asked := h.asked("users"); len(asked) != 0 {
			t.Errorf("read %v", asked)
		}
	})
}

func TestRoundOfAnEmptyMirror(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil, inRounds)
		<-time.After(24 * time.Hour)
		synctest.Wait()
		if st := r.Status().Round; len(h.asked("users")) != 0 || st.Read != 0 || !st.Ended.IsZero() {
			t.Errorf("%+v, %v", st, h.asked("users"))
		}
		h.put(1, numberA)
		r.tell(1)
		r.settle()
		h.forget()
		<-time.After(21 * time.Minute)
		synctest.Wait()
		if asked := h.asked("users"); len(asked) == 0 || !slices.Equal(asked[0].ids, []int64{1}) {
			t.Errorf("read %v", asked)
		}
	})
}
