package sync

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

// TestKillInAFullRun closes the store under a full run at each of its writings,
// as a kill would leave it, and has a new Syncer go on with the file.
func TestKillInAFullRun(t *testing.T) {
	users := slices.DeleteFunc(span(1, 230), func(id int64) bool { return id%20 == 0 })
	tickets := slices.DeleteFunc(span(1001, 1130), func(id int64) bool { return id%20 == 0 })
	for kill := 1; kill <= 14; kill++ {
		t.Run(fmt.Sprint("at batch ", kill), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := searchable(230, 130)
				path := filepath.Join(t.TempDir(), "a.db")
				s := openStore(t, path)
				first := start(t, a, s, guarded)
				first.wantState(first.run(""), "done")
				<-time.After(time.Hour)
				a.vanish(span(1, 230)...)
				a.change(func(a *account) {
					for _, id := range users {
						delete(a.vanished, id)
					}
				})
				a.remove(1020, 1040, 1060, 1080, 1100, 1120)
				n := 0
				s.before = func(caller.Batch) {
					s.mu.Lock()
					defer s.mu.Unlock()
					if n++; n == kill {
						if err := s.Close(); err != nil {
							t.Error(err)
						}
					}
				}
				job := first.run("full")
				first.wantState(job, "failed")
				first.stop()

				again := openStore(t, path)
				saved, err := again.Sweep()
				if err != nil {
					t.Fatal(err)
				}
				a.forget()
				<-time.After(time.Hour)
				m := start(t, a, again, guarded)
				_, ok := m.Job("job1")
				if begun := !saved.Began.IsZero(); ok != begun {
					t.Fatalf("the run stood at %+v, gone on with: %v", saved, ok)
				}
				if ok {
					resumed := m.await("job1")
					m.wantState(resumed, "done")
					if resumed.Trigger != "resume" || resumed.Mode != "full" {
						t.Errorf("gone on with as %s %s", resumed.Trigger, resumed.Mode)
					}
					walked := a.asked(caller.Users)
					if saved.Walked != (len(walked) == 0) || len(walked) > 0 && walked[0].Cursor != saved.Cursor {
						t.Errorf("the run stood at %+v and went on with %+v", saved, walked)
					}
				} else {
					m.wantState(m.run("full"), "done")
				}
				m.holding(users, tickets)
				if w := m.sweeping(); w != (caller.Sweep{}) {
					t.Errorf("at the end it stands at %+v", w)
				}
			})
		})
	}
}

func TestRestartInAFullRun(t *testing.T) {
	stopAt := func(t *testing.T, a *account, path string, force bool) {
		t.Helper()
		s := openStore(t, path)
		m := start(t, a, s, guarded)
		m.wantState(m.run(""), "done")
		<-time.After(time.Hour)
		a.vanish(span(1, 100)...)
		a.change(func(a *account) { a.pace[caller.Users] = time.Minute })
		id, err := m.Start(status.Request{Mode: "full", Force: force})
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(2*time.Minute + time.Second)
		m.stop()
		if job, _ := m.Job(id); job.State != "cancelled" {
			t.Fatalf("the run is %s", job.State)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		a.change(func(a *account) { clear(a.pace) })
		a.forget()
	}
	tests := []struct {
		name    string
		force   bool
		down    time.Duration
		resumes bool
		state   string
	}{
		{"gone on with", false, time.Hour, true, "failed"}, // by the guard
		{"gone on with as it was asked for, by force", true, time.Hour, true, "done"},
		{"dropped a day later", true, 24 * time.Hour, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := searchable(230, 10)
				path := filepath.Join(t.TempDir(), "a.db")
				stopAt(t, a, path, tt.force)
				<-time.After(tt.down)
				m := start(t, a, openStore(t, path), guarded, func(o *Options) { o.OnStart = true })
				var full []status.Job
				for _, job := range m.Status().Last {
					if job.Mode == "full" {
						full = append(full, job)
					}
				}
				if !tt.resumes {
					if len(full) != 0 || m.sweeping() != (caller.Sweep{}) {
						t.Errorf("ran %+v, stands at %+v", full, m.sweeping())
					}
					return
				}
				if len(full) != 1 || full[0].State != tt.state || full[0].Trigger != "resume" {
					t.Fatalf("ran %+v", full)
				}
				var cursors []string
				for _, r := range a.asked(caller.Users) {
					if r.Backfill {
						cursors = append(cursors, r.Cursor)
					}
				}
				if diff := cmp.Diff([]string{"100", "150", "200"}, cursors); diff != "" {
					t.Errorf("the walk went on with (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestRefusedCursorOfAFullRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(150, 10)
		m := longFilled(t, a)
		a.vanish(9)
		began := time.Now()
		half := caller.Sweep{Began: began, Cursor: "old", Users: 150, Tickets: 10}
		if _, err := m.store.Store.Apply(t.Context(), caller.Batch{Sweep: &half}); err != nil {
			t.Fatal(err)
		}
		a.setScript(func(r Request) (*Page, error) {
			if r.Cursor == "old" {
				return nil, rejected
			}
			return nil, nil
		})
		m.wantState(m.run("full"), "done")
		var cursors []string
		for _, r := range a.asked(caller.Users) {
			cursors = append(cursors, r.Cursor)
		}
		if diff := cmp.Diff([]string{"old", "", "50", "100"}, cursors); diff != "" {
			t.Errorf("cursors (-want +got):\n%s", diff)
		}
		if _, held, err := m.store.Caller(9); held || err != nil {
			t.Errorf("the vanished user is held: %v, %v", held, err)
		}
	})
}

// A run that may pass over the guard and is interrupted leaves its walk to the
// next one, and not its leave.
func TestForceIsNotInherited(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(150, 10)
		m := longFilled(t, a)
		a.vanish(span(1, 100)...)
		a.setScript(func(r Request) (*Page, error) {
			if r.Stream == caller.Users {
				return nil, down
			}
			return nil, nil
		})
		id, err := m.Start(status.Request{Mode: "full", Force: true})
		if err != nil {
			t.Fatal(err)
		}
		m.wantState(m.await(id), "failed")
		a.setScript(nil)
		<-time.After(time.Hour)
		job := m.run("full")
		m.wantState(job, "failed")
		if job.RemovedUsers > 0 {
			t.Errorf("%d users were taken out past the guard", job.RemovedUsers)
		}
	})
}
