package sync

import (
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"aniproxy/internal/caller"
)

func withIdentities(o *Options) { o.Identities = true }

func TestIdentitiesAreReadUntilNoneIsDue(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(250, 0)
		a.identities = map[int64][]string{17: {"+15135559999"}}
		a.gone = map[int64]bool{18: true}
		m := start(t, a, nil, withIdentities, guarded)
		m.wantState(m.run(""), "done")
		synctest.Wait()
		if due := m.store.Size().IdentitiesDue; due != 0 {
			t.Errorf("%d are still due", due)
		}
		match, err := m.store.Match("+15135559999", nil)
		if err != nil || len(match.Callers) != 1 || match.Callers[0].User.ID != 17 {
			t.Errorf("the further number finds %+v, %v", match.Callers, err)
		}
		if _, ok, err := m.store.Caller(18); ok || err != nil {
			t.Errorf("a user that is gone is still there: %v, %v", ok, err)
		}
		for _, ids := range a.readings {
			if len(ids) > 100 {
				t.Errorf("a reading of %d", len(ids))
			}
		}
		a.forget()
		m.wantState(m.run(""), "done")
		synctest.Wait()
		if len(a.readings) != 0 {
			t.Errorf("with nothing due %v was read", a.readings)
		}
	})
}

// Credentials that may not see people any more must not empty the mirror.
func TestMostPeopleGoneAtOnceIsNotBelieved(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(50, 0)
		a.gone = map[int64]bool{}
		for id := range int64(100) {
			a.gone[id] = true
		}
		m := start(t, a, nil, withIdentities)
		m.wantState(m.run(""), "done")
		synctest.Wait()
		if size := m.store.Size(); size.Users != 50 || size.IdentitiesDue != 50 {
			t.Errorf("%d users are left, %d due; want all 50", size.Users, size.IdentitiesDue)
		}
	})
}

func TestIdentitiesGoOnAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(250, 0)
		a.refuse = func(ids []int64) error {
			if ids[0] > 100 {
				return down
			}
			return nil
		}
		path := filepath.Join(t.TempDir(), "a.db")
		s := openStore(t, path)
		m := start(t, a, s, withIdentities)
		m.wantState(m.run(""), "done") // a fault there fails no run
		if st := m.Status(); st.LastError != "" || st.LastSuccess.IsZero() {
			t.Errorf("status after it: %+v", st)
		}
		m.stop()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}

		a.refuse = nil
		a.forget()
		again := openStore(t, path)
		start(t, a, again, withIdentities)
		if due := again.Size().IdentitiesDue; due != 0 {
			t.Errorf("%d are still due", due)
		}
		if n := slices.IndexFunc(a.readings, func(ids []int64) bool { return ids[0] <= 100 }); n >= 0 {
			t.Error("what was read before was read again")
		}
	})
}

func TestIdentitiesRestAfterAFault(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(10, 0)
		a.refuse = func([]int64) error { return down }
		m := start(t, a, nil, withIdentities, func(o *Options) { o.Schedule = "@every 5s" })
		<-time.After(10*time.Minute + time.Second)
		synctest.Wait()
		if n := len(a.readings); n < 9 || n > 11 {
			t.Errorf("%d tries in ten minutes, want one a minute", n)
		}
		a.mu.Lock()
		a.refuse = nil
		a.mu.Unlock()
		<-time.After(2 * time.Minute)
		if due := m.store.Size().IdentitiesDue; due != 0 {
			t.Errorf("%d are still due after Zendesk came back", due)
		}
	})
}

// TestIdentitiesStarveNoIncrement has a backlog that takes an hour.
func TestIdentitiesStarveNoIncrement(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(6000, 10)
		a.pageSize = 1000
		a.refuse = func([]int64) error { // no refusal, but a minute each
			a.mu.Unlock()
			defer a.mu.Lock()
			<-time.After(time.Minute)
			return nil
		}
		m := start(t, a, nil, withIdentities, func(o *Options) { o.Schedule, o.OnStart = "@every 1m", true })
		<-time.After(30*time.Minute + time.Second)
		synctest.Wait()
		if age := time.Since(m.position(caller.Users).Watermark); age > 3*time.Minute {
			t.Errorf("users are %v old", age)
		}
		st := m.Status()
		if st.Identities == nil {
			t.Fatal("the reading of identities is not told")
		}
		if p := st.Identities; p.Records != 3000 || p.Remaining < 29*time.Minute || p.Remaining > 32*time.Minute {
			t.Errorf("after half of them: %+v", p)
		}
		if st.Running != nil {
			t.Errorf("told as running: %+v", st.Running)
		}
		<-time.After(35 * time.Minute)
		synctest.Wait()
		if due := m.store.Size().IdentitiesDue; due != 0 {
			t.Errorf("%d are still due after an hour", due)
		}
		if m.Status().Identities != nil {
			t.Error("told as being read after the end")
		}
	})
}

// TestDebtThatIsNotSettled is met once at each waking, not for ever.
func TestDebtThatIsNotSettled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(10, 0)
		m := start(t, a, nil, withIdentities)
		m.wantState(m.run(""), "done")
		synctest.Wait()
		// A user that only the mirror knows: nothing is answered for them.
		unknown := a.users[0]
		unknown.User.ID, unknown.Number, unknown.User.Phone = 999, "", ""
		if _, err := m.store.Store.Apply(t.Context(), caller.Batch{Users: []caller.UserUpdate{unknown}}); err != nil {
			t.Fatal(err)
		}
		a.forget()
		for range 3 {
			m.wantState(m.run(""), "done")
			synctest.Wait()
		}
		if n := len(a.readings); n != 3 {
			t.Errorf("read %d times in 3 runs", n)
		}
	})
}

func TestIdentitiesCanBeLeftOut(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(10, 0)
		m := start(t, a, nil)
		m.wantState(m.run(""), "done")
		synctest.Wait()
		if len(a.readings) != 0 {
			t.Errorf("read %v", a.readings)
		}
	})
}

func TestPanicInTheReadingOfIdentities(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(10, 0)
		once := true
		a.refuse = func([]int64) error {
			if once {
				once = false
				panic("once")
			}
			return nil
		}
		m := start(t, a, nil, withIdentities)
		m.wantState(m.run(""), "done")
		<-time.After(time.Minute + time.Second)
		synctest.Wait()
		if due := m.store.Size().IdentitiesDue; due != 0 {
			t.Errorf("%d are still due", due)
		}
	})
}

// A further number moves from one person to another, and only that the other
// has changed is told of.
func TestWhoGainsANumberByAnIncrementHasTheOldHolderRead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const moved = "+15135559999"
		a := newAccount(250, 0)
		a.identities = map[int64][]string{17: {moved}}
		m := start(t, a, nil, withIdentities)
		m.wantState(m.run(""), "done")
		<-time.After(time.Hour)
		a.change(func(a *account) { a.identities = map[int64][]string{18: {moved}} })
		a.addUser(18)
		m.wantState(m.run(""), "done")
		<-time.After(time.Minute)
		got, err := m.store.Holders(moved)
		if err != nil || !slices.Equal(got, []int64{18}) {
			t.Errorf("the number is %v's, want 18's: %v", got, err)
		}
	})
}

// Where the export shows identities, it tells of the gain and not of the loss.
func TestWhoGainsANumberByAPageHasTheOldHolderRead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		h.put(1, "", numberA)
		h.put(2, "")
		r.tell(1, 2)
		r.settle()
		h.moveQuietly(numberA, 1, 2)
		<-time.After(time.Minute)
		users, _, err := h.Identities(t.Context(), []int64{2})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.commit(t.Context(), &track{}, caller.Batch{Users: users}); err != nil {
			t.Fatal(err)
		}
		r.settle()
		r.wantNumber(numberA, 2)
	})
}
