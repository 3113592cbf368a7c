package sync

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
)

// aged is an account with more history than unresolved tickets: those above
// 2000 are solved.
func aged(users, unresolved, solved int) *account {
	a := searchable(users, unresolved)
	for i := range solved {
		a.setTicket(int64(2001+i), 1, "solved", changed(10_000+i))
	}
	return a
}

// holdsTickets checks how many unresolved tickets the mirror has.
func (m *mirror) holdsTickets(want int64) {
	m.t.Helper()
	if got := m.store.Size().Tickets; got != want {
		m.t.Errorf("the mirror holds %d tickets, want %d", got, want)
	}
}

func TestFirstFillOfTicketsBySearch(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := aged(270, 120, 1000)
		a.skew = -90 * time.Second // Zendesk's clock is behind ours
		a.search.pace = time.Minute
		m := start(t, a, nil)
		began := time.Now()
		fill := m.ask("")
		<-time.After(2*time.Minute + time.Second)
		synctest.Wait()

		// What was found is there at once, and proves nothing yet.
		m.holdsTickets(100)
		if p := m.position(caller.Tickets); p.Complete || p.Cursor != "" || !p.Start.IsZero() || !p.Watermark.IsZero() {
			t.Errorf("in the middle the position is %+v", p)
		}
		if !m.CatchingUp() {
			t.Error("a mirror that is being filled is not catching up")
		}
		var stages []string
		for _, p := range m.Status().Running.Progress {
			stages = append(stages, fmt.Sprint(p.Stream, " ", p.Records, " ", p.Done, " ", p.Remaining))
		}
		if diff := cmp.Diff([]string{"users 270 true 0s", "tickets 0 false -1ns", "unresolved 100 false -1ns"}, stages); diff != "" {
			t.Errorf("progress (-want +got):\n%s", diff)
		}

		m.wantState(m.await(fill), "done")
		m.holdsTickets(120)
		// The date is that of the first page's answer, a minute after it was
		// asked for.
		start := began.Add(time.Minute - 90*time.Second - time.Hour)
		want := []Request{{Stream: caller.Tickets, StartTime: start, Backfill: true}}
		if diff := cmp.Diff(want, a.asked(caller.Tickets), cmp.Comparer(time.Time.Equal)); diff != "" {
			t.Errorf("requests of the export (-want +got):\n%s", diff)
		}
		if p := m.position(caller.Tickets); !p.Complete || p.Cursor != "1120" || !p.Start.Equal(start) {
			t.Errorf("the position is %+v", p)
		}
		if m.CatchingUp() {
			t.Error("a mirror at its streams' ends is catching up")
		}

		a.forget()
		m.wantState(m.run(""), "done")
		if len(a.search.asked) != 0 {
			t.Error("the second run searched again")
		}
	})
}

// TestWhatTheIndexDoesNotKnowYet comes with the export that follows.
func TestWhatTheIndexDoesNotKnowYet(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := aged(10, 10, 0)
		recently := time.Now().Add(-50 * time.Minute)
		a.setTicket(1001, 2, "solved", recently)
		a.setTicket(1002, 2, "pending", recently.Add(time.Second))
		a.setTicket(1011, 2, "new", recently.Add(2*time.Second))
		a.search.stale = map[int64]bool{1001: true, 1002: true}
		a.search.lost = map[int64]bool{1011: true}
		// An export by time finds records by the times of their changes here.
		a.setScript(func(r Request) (*Page, error) {
			if r.Stream != caller.Tickets || r.StartTime.IsZero() || !r.StartTime.Before(recently) {
				return nil, nil
			}
			return a.page(Request{Stream: caller.Tickets, Cursor: "10"}, a.send()), nil
		})
		m := start(t, a, nil)
		m.wantState(m.run(""), "done")
		m.holdsTickets(10)
		for id, want := range map[int64]string{1001: "", 1002: "pending", 1011: "new"} {
			if got, _, err := m.store.Ticket(id); err != nil || got.Status != want {
				t.Errorf("ticket %d is %q, %v; want %q", id, got.Status, err, want)
			}
		}
	})
}

// TestSeedThatIsKilled begins anew, and what it brought stays.
func TestSeedThatIsKilled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := aged(10, 230, 50)
		a.search.pace = time.Minute
		path := filepath.Join(t.TempDir(), "a.db")
		s := openStore(t, path)
		first := start(t, a, s)
		first.ask("")
		<-time.After(3*time.Minute + time.Second)
		first.stop()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}

		again := openStore(t, path)
		if n := again.Size().Tickets; n != 150 {
			t.Errorf("%d tickets were kept, want 150", n)
		}
		a.forget()
		restarted := time.Now()
		m := start(t, a, again)
		m.wantState(m.run(""), "done")
		m.holdsTickets(230)
		if diff := cmp.Diff([]string{"", "50", "100", "150", "200"}, a.search.asked); diff != "" {
			t.Errorf("the search went on with (-want +got):\n%s", diff)
		}
		if got, want := m.position(caller.Tickets).Start, restarted.Add(time.Minute-time.Hour); !got.Equal(want) {
			t.Errorf("the export is read from %v, want %v: the second search's", got, want)
		}
	})
}

// TestKillBetweenSeedAndExport goes on with the export.
func TestKillBetweenSeedAndExport(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := aged(10, 60, 50)
		a.setScript(func(r Request) (*Page, error) {
			if r.Stream == caller.Tickets {
				return nil, down
			}
			return nil, nil
		})
		m := start(t, a, nil)
		m.wantState(m.run(""), "failed")
		held := m.position(caller.Tickets)
		if held.Complete || held.Start.IsZero() {
			t.Fatalf("after the search the position is %+v", held)
		}
		<-time.After(30 * 24 * time.Hour)
		a.setScript(nil)
		a.forget()
		m.wantState(m.run(""), "done")
		if len(a.search.asked) != 0 || !a.asked(caller.Tickets)[0].StartTime.Equal(held.Start) {
			t.Errorf("searched %v, then asked %+v; want the export from %v", a.search.asked, a.asked(caller.Tickets), held.Start)
		}
	})
}

func TestAccountsWithoutASearchExport(t *testing.T) {
	for _, fault := range []caller.Fault{caller.FaultNotFound, caller.FaultRejected, caller.FaultAuth} {
		t.Run(string(fault), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := aged(10, 60, 50)
				a.search.script = func(string) (*Page, error) { return nil, &caller.UpstreamError{Fault: fault, Err: down} }
				m := start(t, a, nil)
				m.wantState(m.run(""), "done")
				m.holdsTickets(60)
				if r := a.asked(caller.Tickets)[0]; r.Cursor != "" || !r.StartTime.IsZero() {
					t.Errorf("the export was read from %+v, want its beginning", r)
				}
			})
		})
	}
}

func TestSeedsThatComeToNothing(t *testing.T) {
	tests := []struct {
		name string
		// script is told how often a cursor was asked for before.
		script func(a *account, cursor string, before int) (*Page, error)
		state  string
		asked  []string
		start  bool // whether the export is then read from a moment
	}{
		{"a fault fails the run", func(_ *account, cursor string, _ int) (*Page, error) {
			if cursor == "50" {
				return nil, down
			}
			return nil, nil
		}, "failed", []string{"", "50"}, false},
		{"a refused cursor has it begin anew", func(_ *account, cursor string, before int) (*Page, error) {
			if cursor == "50" && before == 0 {
				return nil, rejected
			}
			return nil, nil
		}, "done", []string{"", "50", "", "50", "100"}, true},
		{"once", func(_ *account, cursor string, _ int) (*Page, error) {
			if cursor == "50" {
				return nil, rejected
			}
			return nil, nil
		}, "failed", []string{"", "50", "", "50"}, false},
		{"a cursor that stays, twice, is no way to have them", func(a *account, cursor string, _ int) (*Page, error) {
			if cursor == "50" {
				return &Page{Tickets: a.tickets[:1], Next: "50"}, nil
			}
			return nil, nil
		}, "done", []string{"", "50", "", "50"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := aged(10, 120, 50)
				times := map[string]int{}
				a.search.script = func(cursor string) (*Page, error) {
					times[cursor]++
					return tt.script(a, cursor, times[cursor]-1)
				}
				m := start(t, a, nil)
				m.wantState(m.run(""), tt.state)
				if diff := cmp.Diff(tt.asked, a.search.asked); diff != "" {
					t.Errorf("cursors (-want +got):\n%s", diff)
				}
				if p := m.position(caller.Tickets); p.Start.IsZero() == tt.start || p.Complete != (tt.state == "done") {
					t.Errorf("the position is %+v", p)
				}
				if tt.state == "done" {
					m.holdsTickets(120)
				} else {
					m.holdsTickets(50) // of the page before the fault
				}
				a.search.script = nil
				m.wantState(m.run(""), "done")
				m.holdsTickets(120)
			})
		})
	}
}

// TestEndlessSearch brings the same tickets under new cursors for ever.
func TestEndlessSearch(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := aged(10, 60, 0)
		a.search.script = func(cursor string) (*Page, error) {
			n, _ := strconv.Atoi(cursor)
			return &Page{Tickets: a.tickets[:50], Next: strconv.Itoa(n + 1), Sent: time.Now()}, nil
		}
		m := start(t, a, nil)
		m.wantState(m.run(""), "done")
		m.holdsTickets(60) // by the export
		if n := len(a.search.asked); n != 2*(maxEmptyPages+2) {
			t.Errorf("%d pages until it was found out", n)
		}
	})
}

// TestRefusedStart has Zendesk refuse the time that the export is to be read
// from: the fill takes longer and does not hang.
func TestRefusedStart(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprint("with a cursor lost as well: ", lost), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := aged(10, 60, 50)
				once := true
				a.setScript(func(r Request) (*Page, error) {
					switch {
					case r.Stream != caller.Tickets:
					case !r.StartTime.IsZero():
						return nil, rejected
					case lost && r.Cursor == "50" && once:
						once = false
						return nil, down
					case lost && r.Cursor == "50":
						return nil, rejected
					}
					return nil, nil
				})
				m := start(t, a, nil)
				job := m.run("")
				if lost {
					m.wantState(job, "failed")
					a.pageSize = 75
					job = m.run("")
				}
				m.wantState(job, "done")
				m.holdsTickets(60)
				if last := a.asked(caller.Tickets); !slices.ContainsFunc(last, func(r Request) bool { return r.Cursor == "" && r.StartTime.IsZero() }) {
					t.Errorf("asked %+v, never from the beginning", last)
				}
			})
		})
	}
}

// TestSeedWithoutADate goes by our own clock.
func TestSeedWithoutADate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := aged(10, 60, 50)
		a.noDate = true
		began := time.Now()
		m := start(t, a, nil)
		m.wantState(m.run(""), "done")
		if got, want := m.position(caller.Tickets).Start, began.Add(-time.Hour); got.Sub(want).Abs() > time.Second {
			t.Errorf("the export is read from %v, want %v", got, want)
		}
	})
}

// TestDateFromTheFuture does not have the export be read from a moment that
// Zendesk refuses.
func TestDateFromTheFuture(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := aged(10, 60, 50)
		a.skew = 3 * time.Hour
		began := time.Now()
		m := start(t, a, nil)
		m.wantState(m.run(""), "done")
		if got, want := m.position(caller.Tickets).Start, began.Add(-time.Hour); got.Sub(want).Abs() > time.Second {
			t.Errorf("the export is read from %v, want %v", got, want)
		}
	})
}

// TestFillOfAnOlderVersion goes on where it was: by the export alone.
func TestFillOfAnOlderVersion(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := aged(10, 120, 50)
		m := start(t, a, nil)
		half := caller.Batch{Position: &caller.Position{Stream: caller.Tickets, Cursor: "50"}}
		if _, err := m.store.Store.Apply(t.Context(), half); err != nil {
			t.Fatal(err)
		}
		m.wantState(m.run(""), "done")
		if len(a.search.asked) != 0 || a.asked(caller.Tickets)[0].Cursor != "50" {
			t.Errorf("searched %v, asked %+v", a.search.asked, a.asked(caller.Tickets))
		}
	})
}
