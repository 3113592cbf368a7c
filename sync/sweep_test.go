package sync

import (
	"context"
	"fmt"
	"slices"
	"strings"
	stdsync "sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

func guarded(o *Options) { o.DeleteGuard = 0.2 }

// longFilled is a mirror that was filled an hour ago and not touched since.
func longFilled(t *testing.T, a *account, change ...func(*Options)) *mirror {
	t.Helper()
	m := filled(t, a, append([]func(*Options){guarded}, change...)...)
	<-time.After(time.Hour)
	return m
}

// vanish has users be in no export any more.
func (a *account) vanish(ids ...int64) {
	a.change(func(a *account) {
		if a.vanished == nil {
			a.vanished = map[int64]bool{}
		}
		for _, id := range ids {
			a.vanished[id] = true
		}
	})
}

// remove has tickets be deleted without a word.
func (a *account) remove(ids ...int64) {
	a.change(func(a *account) {
		if a.search.deleted == nil {
			a.search.deleted, a.search.lost = map[int64]bool{}, map[int64]bool{}
		}
		for _, id := range ids {
			a.search.deleted[id], a.search.lost[id] = true, true
		}
	})
}

// span are the ids from one to another.
func span(from, to int64) []int64 {
	var ids []int64
	for id := from; id <= to; id++ {
		ids = append(ids, id)
	}
	return ids
}

// holding checks which users and tickets the mirror has.
func (m *mirror) holding(users, tickets []int64) {
	m.t.Helper()
	for stream, want := range map[caller.Stream][]int64{caller.Users: users, caller.Tickets: tickets} {
		got, err := m.store.IDs(stream, 0, 1_000_000)
		if err != nil {
			m.t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			m.t.Errorf("%s (-want +got):\n%s", stream, diff)
		}
	}
	if err := m.store.Verify(); err != nil {
		m.t.Error(err)
	}
}

// sweeping is where the full run stands.
func (m *mirror) sweeping() caller.Sweep {
	m.t.Helper()
	w, err := m.store.Sweep()
	if err != nil {
		m.t.Fatal(err)
	}
	return w
}

func TestFullRunFindsWhatNothingTellsOf(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(250, 150)
		m := longFilled(t, a)
		a.vanish(3, 77, 250)
		a.remove(1001, 1100)
		a.setTicket(1002, 2, "solved", time.Now().Add(-40*24*time.Hour)) // of which no export told
		a.setScript(func(r Request) (*Page, error) {
			if r.Stream == caller.Tickets && r.Cursor == "" {
				t.Errorf("the ticket export was walked from its beginning: %+v", r)
			}
			return nil, nil
		})
		least := caller.Size{Users: 250, Tickets: 150}
		m.store.before = func(caller.Batch) {
			size := m.store.Size()
			m.store.mu.Lock()
			defer m.store.mu.Unlock()
			least.Users, least.Tickets = min(least.Users, size.Users), min(least.Tickets, size.Tickets)
		}
		job := m.run("full")
		m.wantState(job, "done")
		users := slices.DeleteFunc(span(1, 250), func(id int64) bool { return a.vanished[id] })
		tickets := slices.DeleteFunc(span(1001, 1150), func(id int64) bool { return a.search.deleted[id] || id == 1002 })
		m.holding(users, tickets)
		if least.Users < 247 || least.Tickets < 147 {
			t.Errorf("readers saw a hole: %+v", least)
		}
		if job.RemovedUsers != 3 || job.RemovedTickets != 3 {
			t.Errorf("%d users and %d tickets are told as removed, want 3 each", job.RemovedUsers, job.RemovedTickets)
		}
		if diff := cmp.Diff([][]int64{{3, 77, 250}}, a.readings); diff != "" {
			t.Errorf("users asked for by id (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]int64{1001, 1002, 1100}, a.askedByID()); diff != "" {
			t.Errorf("tickets asked for by id (-want +got):\n%s", diff)
		}
		if w := m.sweeping(); w != (caller.Sweep{}) {
			t.Errorf("at the end the full run stands at %+v", w)
		}
		var rows []string
		for _, p := range job.Progress {
			rows = append(rows, fmt.Sprint(p.Stream, " ", p.Records, " ", p.Done))
		}
		slices.Sort(rows)
		if diff := cmp.Diff([]string{"tickets 147 true", "tickets_by_id 3 true", "users 247 true", "users_by_id 3 true"}, rows); diff != "" {
			t.Errorf("progress (-want +got):\n%s", diff)
		}
	})
}

// TestAbsenceIsNoProof keeps whatever Zendesk shows by its id.
func TestAbsenceIsNoProof(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(150, 150)
		m := longFilled(t, a)
		missing := map[int64]bool{}
		a.setScript(func(r Request) (*Page, error) {
			if r.Stream != caller.Users {
				return nil, nil
			}
			p := a.page(r, a.send())
			p.Users = slices.DeleteFunc(p.Users, func(u caller.UserUpdate) bool { return u.User.ID <= 40 })
			return p, nil
		})
		for _, id := range span(1001, 1040) {
			missing[id] = true
		}
		a.search.lost = missing // the index lags
		job := m.run("full")
		m.wantState(job, "done")
		m.holding(span(1, 150), span(1001, 1150))
		if job.RemovedUsers != 0 || job.RemovedTickets != 0 {
			t.Errorf("told as removed: %+v", job)
		}
		if len(a.readings) != 1 || len(a.askedByID()) != 40 {
			t.Errorf("users asked for by id %v, tickets %v", a.readings, a.askedByID())
		}
	})
}

func TestConfirmedSinceFiveMinutesBeforeIsNoCandidate(t *testing.T) {
	for ago, asked := range map[time.Duration]bool{4 * time.Minute: false, 6 * time.Minute: true} {
		t.Run(fmt.Sprint(ago, " ago"), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := searchable(20, 20)
				m := longFilled(t, a)
				seen := a.users[4]
				seen.AsOf, seen.Version.Sent = time.Now(), time.Now().UnixNano()
				if _, err := m.store.Store.Apply(t.Context(), caller.Batch{Users: []caller.UserUpdate{seen}}); err != nil {
					t.Fatal(err)
				}
				a.vanish(5)
				<-time.After(ago)
				m.wantState(m.run("full"), "done")
				if _, held, err := m.store.Caller(5); err != nil || held == asked || (len(a.readings) == 1) != asked {
					t.Errorf("held %v, %v, asked for %v", held, err, a.readings)
				}
			})
		})
	}
}

func TestDeleteGuard(t *testing.T) {
	tests := []struct {
		name          string
		users, gone   int64
		force, passes bool
	}{
		{"as many as the guard allows", 100, 20, false, true},
		{"one more", 100, 21, false, false},
		{"one more, forced", 100, 21, true, true},
		{"all", 100, 100, false, false},
		{"all, forced", 100, 100, true, true},
		{"all of fewer than a hundred", 99, 99, false, true},
	}
	for _, tt := range tests {
		for _, stream := range []caller.Stream{caller.Users, caller.Tickets} {
			t.Run(fmt.Sprint(stream, ": ", tt.name), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					a := searchable(int(tt.users), int(tt.users))
					m := longFilled(t, a)
					// One of the other kind goes in any case.
					users, tickets := []int64{1}, span(1001, 1000+tt.gone)
					if stream == caller.Users {
						users, tickets = span(1, tt.gone), []int64{1001}
					}
					a.vanish(users...)
					a.remove(tickets...)
					id, err := m.Start(status.Request{Mode: "full", Force: tt.force})
					if err != nil {
						t.Fatal(err)
					}
					job := m.await(id)
					removed, others, held := job.RemovedUsers, job.RemovedTickets, m.store.Size().Users
					if stream == caller.Tickets {
						removed, others, held = others, removed, m.store.Size().Tickets
					}
					if others != 1 {
						t.Errorf("%d of the other kind were taken out, want the one", others)
					}
					if tt.passes {
						m.wantState(job, "done")
						if removed != tt.gone || held != tt.users-tt.gone {
							t.Errorf("%d were taken out and %d are left", removed, held)
						}
						return
					}
					m.wantState(job, "failed")
					if removed != 0 || held != tt.users {
						t.Errorf("%d were taken out and %d are left, want nothing touched", removed, held)
					}
					// The hundred of one request are known at once.
					want := fmt.Sprintf("%s: %d or more of the 100 in the mirror would go, and sync.delete_guard (0.2) allows 20", stream, tt.gone)
					if !strings.Contains(job.Error, want) || !strings.Contains(job.Error, "--force") {
						t.Errorf("the error is %q, want %q", job.Error, want)
					}
				})
			})
		}
	}
}

// TestGuardStopsTheAsking: a mirror whose credentials see nobody any more must
// not be asked for to its end.
func TestGuardStopsTheAsking(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(1000, 0)
		m := longFilled(t, a)
		a.vanish(span(1, 1000)...)
		m.wantState(m.run("full"), "failed")
		if len(a.readings) != 3 {
			t.Errorf("%d requests until it was clear that more than 200 are gone", len(a.readings))
		}
	})
}

// TestForcedAfterTheGuard does not walk for an hour again, but for a week later.
func TestForcedAfterTheGuard(t *testing.T) {
	for after, walks := range map[time.Duration]bool{time.Hour: false, 7 * 24 * time.Hour: true} {
		t.Run(fmt.Sprint(after, " later"), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := searchable(150, 10)
				m := longFilled(t, a)
				a.vanish(span(1, 100)...)
				m.wantState(m.run("full"), "failed")
				<-time.After(after)
				// One is there again, and was never away: only what is asked
				// for now counts.
				a.change(func(a *account) { delete(a.vanished, 7) })
				a.forget()
				id, err := m.Start(status.Request{Mode: "full", Force: true})
				if err != nil {
					t.Fatal(err)
				}
				m.wantState(m.await(id), "done")
				m.holding(append([]int64{7}, span(101, 150)...), span(1001, 1010))
				if walked := len(a.asked(caller.Users)) > 0; walked != walks {
					t.Errorf("walked again: %v", walked)
				}
			})
		})
	}
}

// TestUnforcedAfterTheGuard asks for what is so now: it walks again, and so
// finds who vanished since.
func TestUnforcedAfterTheGuard(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(150, 10)
		m := longFilled(t, a)
		a.vanish(span(1, 100)...)
		m.wantState(m.run("full"), "failed")
		<-time.After(time.Hour)
		a.change(func(a *account) { clear(a.vanished) })
		a.vanish(150)
		a.forget()
		m.wantState(m.run("full"), "done")
		m.holding(span(1, 149), span(1001, 1010))
		if len(a.asked(caller.Users)) == 0 {
			t.Error("it did not walk")
		}
	})
}

func TestForceJoinsARunUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(150, 10)
		m := longFilled(t, a)
		a.vanish(span(1, 100)...)
		a.pace[caller.Users] = time.Minute
		full := m.ask("full")
		synctest.Wait()
		if id, err := m.Start(status.Request{Mode: "full", Force: true}); err != nil || id != full {
			t.Fatalf("job %s, %v, want %s", id, err, full)
		}
		m.wantState(m.await(full), "done")
		m.holding(span(101, 150), span(1001, 1010))
	})
}

// TestNewerWhileItIsAskedFor has a live answer show somebody whom Zendesk has
// just said not to find: restored, or not to be seen everywhere yet.
func TestNewerWhileItIsAskedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(150, 150)
		m := longFilled(t, a)
		a.vanish(9, 10)
		a.remove(1009, 1010)
		live := func(b caller.Batch) {
			b.Urgent = true
			if _, err := m.store.Store.Apply(context.WithoutCancel(t.Context()), b); err != nil {
				t.Error(err)
			}
		}
		after := time.Now().Add(time.Minute)
		a.refuse = func([]int64) error {
			u := a.users[8]
			u.AsOf, u.Version.Sent = after, after.UnixNano()
			live(caller.Batch{Users: []caller.UserUpdate{u}})
			return nil
		}
		a.search.refuse = func([]int64) error {
			edited := a.tickets[8]
			edited.Ticket.Subject = "Help me"
			edited.Version = caller.Version{Updated: after.Unix(), Sent: after.UnixNano()}
			edited.AsOf = after
			live(caller.Batch{Tickets: []caller.TicketUpdate{edited}})
			return nil
		}
		job := m.run("full")
		m.wantState(job, "done")
		m.holding(
			slices.DeleteFunc(span(1, 150), func(id int64) bool { return id == 10 }),
			slices.DeleteFunc(span(1001, 1150), func(id int64) bool { return id == 1010 }),
		)
		if job.RemovedUsers != 1 || job.RemovedTickets != 1 {
			t.Errorf("told as removed: %d users, %d tickets; want one each", job.RemovedUsers, job.RemovedTickets)
		}
		if got, _, err := m.store.Ticket(1009); err != nil || got.Subject != "Help me" {
			t.Errorf("the edited ticket is %+v, %v", got, err)
		}
	})
}

// TestFullRunBringsWhatIsNew: a ticket that was confirmed a moment ago is no
// candidate, and resolved by now.
func TestFullRunBringsWhatIsNew(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(20, 20)
		m := longFilled(t, a)
		a.setTicket(1003, 2, "pending", changed(5000))
		m.wantState(m.run(""), "done")
		a.setTicket(1003, 2, "solved", changed(5001))
		m.wantState(m.run("full"), "done")
		m.holding(span(1, 20), slices.DeleteFunc(span(1001, 1020), func(id int64) bool { return id == 1003 }))
	})
}

// TestIndexAgainstMirror: where the two differ, neither is believed.
func TestIndexAgainstMirror(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(20, 20)
		m := longFilled(t, a)
		put := func(change func(*caller.TicketUpdate), i int) {
			t.Helper()
			u := a.tickets[i]
			change(&u)
			u.AsOf, u.Version.Sent = time.Now().Add(-30*time.Minute), time.Now().Add(-30*time.Minute).UnixNano()
			if _, err := m.store.Store.Apply(t.Context(), caller.Batch{Tickets: []caller.TicketUpdate{u}}); err != nil {
				t.Fatal(err)
			}
		}
		// The mirror is wrong, with the version of the truth.
		put(func(u *caller.TicketUpdate) { u.Ticket.Subject = "Nonsense" }, 0)
		put(func(u *caller.TicketUpdate) { u.Ticket.Status = "solved" }, 1)
		// The index is: it shows as open what is solved, and known to be.
		a.setTicket(1003, 2, "solved", changed(5000))
		a.search.stale = map[int64]bool{1003: true}
		m.wantState(m.run(""), "done")
		a.setTicket(1004, 2, "pending", changed(5001)) // no increment has brought that yet
		a.setTicket(1021, 2, "open", changed(5002))    // deleted long ago
		a.change(func(a *account) { a.search.deleted = map[int64]bool{1021: true} })
		m.store.before = func(caller.Batch) {
			if _, held, err := m.store.Ticket(1021); held || err != nil {
				t.Errorf("what only the index has is in the mirror: %v, %v", held, err)
			}
		}
		a.setScript(func(r Request) (*Page, error) {
			if r.Stream != caller.Tickets {
				return nil, nil
			}
			p := a.page(r, a.send())
			p.Tickets = slices.DeleteFunc(p.Tickets, func(u caller.TicketUpdate) bool { return u.Ticket.ID == 1021 })
			return p, nil
		})
		a.forget()
		m.wantState(m.run("full"), "done")
		m.holding(span(1, 20), slices.DeleteFunc(span(1001, 1020), func(id int64) bool { return id == 1003 }))
		for id, want := range map[int64]string{1001: "Help open", 1002: "Help open", 1004: "Help pending"} {
			if got, _, err := m.store.Ticket(id); err != nil || got.Subject+" "+got.Status != want {
				t.Errorf("ticket %d is %q %s, %v; want %q", id, got.Subject, got.Status, err, want)
			}
		}
		if diff := cmp.Diff([]int64{1001, 1002, 1003, 1004, 1021}, a.askedByID()); diff != "" {
			t.Errorf("asked for by id (-want +got):\n%s", diff)
		}
	})
}

// TestFullRunWithoutASearchExport walks all tickets.
func TestFullRunWithoutASearchExport(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(120, 120)
		m := longFilled(t, a)
		a.vanish(5)
		a.remove(1005)
		a.setScript(func(r Request) (*Page, error) {
			if r.Stream != caller.Tickets {
				return nil, nil
			}
			p := a.page(r, a.send())
			p.Tickets = slices.DeleteFunc(p.Tickets, func(u caller.TicketUpdate) bool { return u.Ticket.ID == 1005 })
			return p, nil
		})
		job := m.run("full")
		m.wantState(job, "done")
		if job.RemovedUsers != 1 || job.RemovedTickets != 1 {
			t.Errorf("%+v", job)
		}
		if n := len(a.asked(caller.Tickets)); n != 4 { // the last is what an increment reads
			t.Errorf("%d pages of the ticket export", n)
		}
		if diff := cmp.Diff([]int64{1005}, a.askedByID()); diff != "" {
			t.Errorf("asked for by id (-want +got):\n%s", diff)
		}
	})
}

// TestOthersDuringAFullRun reads what the mirror has while people are taken out.
func TestOthersDuringAFullRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(300, 300)
		m := longFilled(t, a, func(o *Options) { o.Schedule = "@every 1m" })
		a.vanish(span(1, 40)...)
		a.change(func(a *account) { a.pace[caller.Users], a.search.pace = 30*time.Second, 30*time.Second })
		var wg stdsync.WaitGroup
		full := m.ask("full")
		wg.Go(func() {
			for range 200 {
				<-time.After(time.Second)
				for _, id := range []int64{41, 150, 300} {
					if match, err := m.store.Match(fmt.Sprintf("+1513555%04d", id), nil); err != nil || len(match.Callers) != 1 || len(match.Callers[0].Open) != 1 {
						t.Errorf("user %d: %+v, %v", id, match, err)
						return
					}
				}
			}
		})
		a.addUser(301)
		m.wantState(m.await(full), "done")
		wg.Wait()
		m.holding(span(41, 301), span(1001, 1300))
	})
}
