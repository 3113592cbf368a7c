package sync

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
)

func TestFullWalkBesideIncrements(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(200, 10)
		m := filled(t, a)
		a.pace[caller.Users] = time.Minute
		increment := m.ask("")
		synctest.Wait()
		full := m.ask("full")
		synctest.Wait()
		if job, _ := m.Job(full); job.State != "queued" || job.Mode != "full" {
			t.Errorf("while an increment runs, the full walk is %s %s, want queued", job.Mode, job.State)
		}
		if again := m.ask("full"); again != full {
			t.Errorf("a second request for a full walk is job %s, want %s", again, full)
		}
		m.wantState(m.await(increment), "done")
		synctest.Wait()
		if job, _ := m.Job(full); job.State != "running" {
			t.Errorf("after the increment the full walk is %s", job.State)
		}
		if again := m.ask("full"); again != full {
			t.Errorf("a request while it walks is job %s, want %s", again, full)
		}

		// Increments go on beside it, and what they bring is not lost.
		a.addUser(500)
		beside := m.ask("")
		if beside == full || beside == increment {
			t.Fatalf("an increment beside the walk is job %s", beside)
		}
		synctest.Wait()
		if st := m.Status(); st.Running == nil || st.Running.ID != full {
			t.Errorf("told as running: %+v, want the full walk", st.Running)
		}
		m.wantState(m.await(beside), "done")
		m.wantCursor(caller.Users, "201")
		if job, _ := m.Job(full); job.State != "running" {
			t.Errorf("the full walk is %s, want it under way", job.State)
		}
		m.wantState(m.await(full), "done")
		m.wantMirrored()
		m.wantCursor(caller.Users, "201")
	})
}

func TestFullWalkMovesThePositionAtItsEndOnly(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(200, 10)
		m := filled(t, a)
		held := m.store.Streams()
		before := len(m.store.written(caller.Users))
		<-time.After(time.Hour)
		a.addUser(201)
		a.pace[caller.Users] = time.Minute
		full := m.ask("full")
		for range 4 {
			<-time.After(time.Minute)
			synctest.Wait()
			if diff := cmp.Diff(held.Users, m.position(caller.Users)); diff != "" {
				t.Fatalf("the position moved during the walk (-want +got):\n%s", diff)
			}
		}
		m.wantState(m.await(full), "done")
		if n := len(m.store.written(caller.Users)) - before; n != 1 {
			t.Errorf("%d batches of the walk had a position, want the last", n)
		}
		m.wantCursor(caller.Users, "201")
		got := m.position(caller.Users)
		if want := held.Users.Watermark.Add(time.Hour + 5*time.Minute); !got.Watermark.Equal(want) || !got.Complete {
			t.Errorf("the position is %+v, want complete at %v", got, want)
		}
		for _, r := range a.asked(caller.Users) {
			if !r.Backfill {
				t.Error("a page of a full walk was paid from the increments' budget")
			}
		}
	})
}

// TestFullWalkOvertakesAnIncrement has a walk end while an increment is in the
// middle of a page, and the page then come.
func TestFullWalkOvertakesAnIncrement(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(40, 10)
		m := filled(t, a)
		for id := range 100 {
			a.addUser(int64(1000 + id))
		}
		release := make(chan struct{})
		a.setScript(func(r Request) (*Page, error) {
			if r.Stream == caller.Users && r.Cursor == "40" && !r.Backfill {
				<-release
			}
			return nil, nil
		})
		<-time.After(time.Hour)
		full := m.ask("full")
		increment := m.ask("") // dispatched beside it
		m.wantState(m.await(full), "done")
		m.wantCursor(caller.Users, "140")
		close(release)
		m.wantState(m.await(increment), "done")
		m.wantCursor(caller.Users, "140")
		for _, b := range m.store.written(caller.Users) {
			if b.Position.Cursor == "90" {
				t.Error("the increment set the position back")
			}
		}
		m.wantMirrored()
	})
}

// TestIncrementOvertakesAFullWalk has an increment end while the walk's last
// page is on its way.
func TestIncrementOvertakesAFullWalk(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(100, 10)
		m := filled(t, a)
		a.setScript(func(r Request) (*Page, error) {
			if r.Stream == caller.Users && r.Cursor == "50" {
				p := a.page(r, a.send())
				<-time.After(10 * time.Minute)
				return p, nil
			}
			return nil, nil
		})
		<-time.After(time.Hour)
		full := m.ask("full")
		<-time.After(5 * time.Minute)
		a.addUser(101)
		m.wantState(m.run(""), "done")
		held := m.position(caller.Users)
		m.wantState(m.await(full), "done")
		if diff := cmp.Diff(held, m.position(caller.Users)); diff != "" {
			t.Errorf("the walk set the position back (-want +got):\n%s", diff)
		}
		m.wantMirrored()
	})
}

func TestFailedFullWalkLeavesThePosition(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(200, 10)
		m := filled(t, a)
		pruned := m.store.pruned
		a.setScript(func(r Request) (*Page, error) {
			if r.Stream == caller.Users && r.Cursor == "100" {
				return nil, down
			}
			return nil, nil
		})
		held := m.position(caller.Users)
		m.wantState(m.run("full"), "failed")
		if diff := cmp.Diff(held, m.position(caller.Users)); diff != "" {
			t.Errorf("the position moved (-want +got):\n%s", diff)
		}
		if m.store.pruned != pruned {
			t.Error("a failed walk forgot what left")
		}
	})
}

func TestFullBeforeTheFirstFillIsTheFill(t *testing.T) {
	t.Run("of an empty mirror", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			a := newAccount(120, 10)
			m := start(t, a, nil)
			job := m.run("full")
			m.wantState(job, "done")
			if job.Mode != "full" {
				t.Errorf("the job's mode is %s", job.Mode)
			}
			if n := len(a.asked(caller.Users)); n != 3 {
				t.Errorf("asked for %d pages, want 3", n)
			}
			m.wantMirrored()
			m.wantCursor(caller.Users, "120")
		})
	})
	t.Run("before the fill has begun", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			syncer, err := New(Options{
				Source: newAccount(1, 1), Store: openStore(t, filepath.Join(t.TempDir(), "a.db")),
				Logger: written.Logger(t.Name()),
			})
			if err != nil {
				t.Fatal(err)
			}
			m := &mirror{Syncer: syncer, t: t}
			fill := m.ask("")
			if full := m.ask("full"); full != fill {
				t.Errorf("a full walk is job %s, want the fill %s", full, fill)
			}
			if job, _ := m.Job(fill); job.Mode != "full" {
				t.Errorf("the fill's mode is %s", job.Mode)
			}
		})
	})
	t.Run("while the fill goes on", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			a := newAccount(120, 10)
			a.pace[caller.Users] = time.Minute
			m := start(t, a, nil)
			fill := m.ask("")
			synctest.Wait()
			if full := m.ask("full"); full != fill {
				t.Errorf("a full walk is job %s, want the fill %s", full, fill)
			}
			m.wantState(m.await(fill), "done")
		})
	})
}
