package sync

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

// plant writes to the mirror what is not so, with the version of the truth.
func (m *mirror) plant(b caller.Batch) {
	m.t.Helper()
	now := time.Now()
	for i := range b.Users {
		b.Users[i].AsOf, b.Users[i].Version.Sent = now, now.UnixNano()
	}
	for i := range b.Tickets {
		b.Tickets[i].AsOf, b.Tickets[i].Version.Sent = now, now.UnixNano()
	}
	if _, err := m.store.Store.Apply(m.t.Context(), b); err != nil {
		m.t.Fatal(err)
	}
}

// contents is the whole file as it is on disk.
func (m *mirror) contents() []byte {
	m.t.Helper()
	var b bytes.Buffer
	if _, err := m.store.Backup(m.t.Context(), &b); err != nil {
		m.t.Fatal(err)
	}
	return b.Bytes()
}

// verified is a mirror with an increment a minute, an hour after its fill.
func verified(t *testing.T, a *account, change ...func(*Options)) *mirror {
	t.Helper()
	m := filled(t, a, append([]func(*Options){guarded, func(o *Options) { o.Schedule = "@every 1m" }}, change...)...)
	<-time.After(time.Hour)
	synctest.Wait()
	return m
}

func TestVerifyFindsWhatWasPlanted(t *testing.T) {
	for _, on := range []bool{true, false} {
		t.Run(map[bool]string{true: "by the search export", false: "by the ticket export"}[on], func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := newAccount(230, 230)
				a.search.on = on
				a.setTicket(1100, 4, "solved", changed(9000))
				m := verified(t, a)

				wrong := a.users[2]
				wrong.User.Name, wrong.User.Email = "Somebody Else", "else@example.com"
				extra := a.users[3]
				extra.User.ID, extra.Number, extra.User.Phone = 999, "+15135559999", "+15135559999"
				lacking := a.users[4]
				lacking.User.Active = false
				ticket := a.tickets[5]
				ticket.Ticket.Priority = "urgent"
				more := a.tickets[6]
				more.Ticket.ID = 9999
				lost := a.tickets[7]
				lost.Ticket.Status = "solved"
				zombie := a.tickets[99]
				zombie.Version = a.tickets[len(a.tickets)-1].Version
				m.plant(caller.Batch{
					Users:   []caller.UserUpdate{wrong, extra, lacking},
					Tickets: []caller.TicketUpdate{ticket, more, lost, zombie},
				})
				a.vanish(999)
				a.forget()
				job := m.run("verify")
				m.wantState(job, "done")
				want := []status.Difference{
					{Stream: "users", ID: 3, Field: "name", Since: changed(2)},
					{Stream: "users", ID: 3, Field: "email", Since: changed(2)},
					{Stream: "users", ID: 5, Field: "missing", Since: changed(4)},
					{Stream: "users", ID: 999, Field: "extra"},
					{Stream: "tickets", ID: 1006, Field: "priority", Since: changed(5)},
					{Stream: "tickets", ID: 1008, Field: "missing", Since: changed(7)},
					{Stream: "tickets", ID: 1100, Field: "extra", Since: changed(9000)},
					{Stream: "tickets", ID: 9999, Field: "extra"},
				}
				if diff := cmp.Diff(want, job.Differences, cmp.Comparer(time.Time.Equal)); diff != "" {
					t.Errorf("differences (-want +got):\n%s", diff)
				}
				if job.DifferenceCount != 8 || job.DifferingObjects != 7 {
					t.Errorf("%d differences in %d objects", job.DifferenceCount, job.DifferingObjects)
				}
				<-time.After(time.Hour)
				m.wantState(m.run("full"), "done")
				if job := m.run("verify"); job.DifferenceCount != 0 {
					t.Errorf("after a full run: %+v", job.Differences)
				}
			})
		})
	}
}

func TestVerifyChangesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(120, 120)
		m := filled(t, a)
		<-time.After(time.Hour)
		wrong := a.users[2]
		wrong.User.Name = "Somebody Else"
		m.plant(caller.Batch{Users: []caller.UserUpdate{wrong}})
		a.vanish(8)
		a.remove(1008)
		a.addUser(121)
		before, n := m.contents(), len(m.store.batches)
		held, success := m.store.Streams(), m.Status().LastSuccess
		m.wantState(m.run("verify"), "done")
		if !bytes.Equal(before, m.contents()) || len(m.store.batches) != n {
			t.Errorf("%d batches were written", len(m.store.batches)-n)
		}
		if diff := cmp.Diff(held, m.store.Streams()); diff != "" {
			t.Errorf("the positions moved (-want +got):\n%s", diff)
		}
		if !m.Status().LastSuccess.Equal(success) {
			t.Error("a comparison counts as a run that brought the mirror up")
		}
	})
}

func TestVerifyOfATrueMirror(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(230, 230)
		m := verified(t, a)
		a.change(func(a *account) {
			a.search.lost = map[int64]bool{1004: true}
			a.pace[caller.Users] = time.Minute
		})
		id := m.ask("verify")
		<-time.After(90 * time.Second)
		a.addUser(7) // while it is under way, and brought by an increment
		a.addUser(231)
		job := m.await(id)
		m.wantState(job, "done")
		if job.DifferenceCount != 0 || job.DifferingObjects != 0 || len(job.Differences) != 0 {
			t.Errorf("differences: %+v", job.Differences)
		}
		if diff := cmp.Diff([]int64{1004}, a.askedByID()); diff != "" {
			t.Errorf("asked for by id (-want +got):\n%s", diff)
		}
	})
}

// TestVerifyDoesNotTellWhatIsOnItsWay: what has changed after the stream's
// watermark, and what is deleted while the export hides it.
func TestVerifyDoesNotTellWhatIsOnItsWay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(60, 60)
		m := filled(t, a)
		<-time.After(time.Hour)
		m.wantState(m.run(""), "done")
		// Of these no increment has told yet, and none does while it runs.
		a.setTicket(1004, 9, "pending", time.Now().Add(-30*time.Second))
		a.remove(1005)
		id := m.ask("verify")
		<-time.After(time.Minute)
		a.setTicket(1005, 9, "deleted", time.Now())
		m.ask("")
		<-time.After(time.Minute)
		m.ask("")
		job := m.await(id)
		m.wantState(job, "done")
		if job.DifferenceCount != 0 {
			t.Errorf("differences: %+v", job.Differences)
		}
	})
}

// TestVerifyWithoutIncrements: nothing brings the mirror further, and what has
// changed since it was known is no fault of it.
func TestVerifyWithoutIncrements(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(60, 60)
		m := filled(t, a)
		mark := m.position(caller.Tickets).Watermark
		<-time.After(time.Hour)
		a.setTicket(1004, 9, "pending", mark.Add(-time.Second))
		a.setTicket(1005, 9, "pending", mark)
		a.remove(1006)
		job := m.run("verify")
		m.wantState(job, "done")
		var told []string
		for _, d := range job.Differences {
			told = append(told, fmt.Sprint(d.ID, " ", d.Field))
		}
		want := []string{"1004 status", "1004 created_at", "1004 requester_id", "1004 updated_at", "1006 extra"}
		slices.Sort(told)
		slices.Sort(want)
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

func TestVerifyTellsOnlySoMany(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(1500, 1)
		a.pageSize = 500
		m := verified(t, a)
		var wrong []caller.UserUpdate
		for _, u := range a.users[:1200] {
			u.User.Name = "Nobody"
			wrong = append(wrong, u)
		}
		m.plant(caller.Batch{Users: wrong})
		job := m.run("verify")
		if len(job.Differences) != status.MaxDifferences || job.DifferenceCount != 1200 || job.DifferingObjects != 1200 {
			t.Errorf("%d of %d differences in %d objects are told", len(job.Differences), job.DifferenceCount, job.DifferingObjects)
		}
	})
}

func TestVerifyOfIdentities(t *testing.T) {
	for _, identities := range []bool{true, false} {
		inBubble(t, func(t *testing.T) {
			a := searchable(20, 1)
			m := verified(t, a, func(o *Options) { o.Identities = identities })
			synctest.Wait()
			a.change(func(a *account) { a.identities = map[int64][]string{7: {"+15135559999"}} })
			// The page of an export has the identities where it carries any.
			a.setScript(func(r Request) (*Page, error) {
				if r.Stream != caller.Users || !r.Backfill {
					return nil, nil
				}
				p := a.page(r, a.send())
				for i := range p.Users {
					held := a.identities[p.Users[i].User.ID]
					p.Users[i].Identities = &caller.Identities{Phones: held, Numbers: held}
				}
				return p, nil
			})
			job := m.run("verify")
			m.wantState(job, "done")
			want := int64(0)
			if identities {
				want = 1
			}
			if job.DifferenceCount != want {
				t.Errorf("with identities %v: %+v", identities, job.Differences)
			}
		})
	}
}

func TestVerifyBeforeTheFill(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := start(t, newAccount(1, 1), nil)
		_, err := m.Start(status.Request{Mode: "verify"})
		var state *status.StateError
		if !errors.As(err, &state) || state.Mode != "verify" {
			t.Errorf("got %v", err)
		}
	})
}

func TestVerifyThatFails(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(120, 10)
		m := verified(t, a)
		wrong := a.tickets[2]
		wrong.Ticket.Subject = "Nonsense"
		m.plant(caller.Batch{Tickets: []caller.TicketUpdate{wrong}})
		a.setScript(func(r Request) (*Page, error) {
			if r.Stream == caller.Users && r.Cursor == "50" {
				return nil, down
			}
			return nil, nil
		})
		job := m.run("verify")
		m.wantState(job, "failed")
		if job.DifferenceCount != 1 || job.Differences[0].ID != 1003 {
			t.Errorf("of the other stream it tells %+v", job.Differences)
		}
	})
}

// TestLanes: a full run and a comparison wait for each other, and a request
// joins the one of its own mode.
func TestLanes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(120, 10)
		m := filled(t, a)
		a.pace[caller.Users] = time.Minute
		verify := m.ask("verify")
		synctest.Wait()
		full := m.ask("full")
		if full == verify {
			t.Fatal("a full run joined a comparison")
		}
		if again := m.ask("verify"); again != verify {
			t.Errorf("a second comparison is job %s, want %s", again, verify)
		}
		if again := m.ask("full"); again != full {
			t.Errorf("a second full run is job %s, want %s", again, full)
		}
		increment := m.ask("")
		synctest.Wait()
		if job, _ := m.Job(full); job.State != "queued" {
			t.Errorf("beside a comparison the full run is %s", job.State)
		}
		m.wantState(m.await(increment), "done")
		m.wantState(m.await(verify), "done")
		synctest.Wait()
		again := m.ask("verify")
		if again == verify {
			t.Error("a comparison joined one that had ended")
		}
		m.wantState(m.await(full), "done")
		m.wantState(m.await(again), "done")
	})
}

func TestDifferencesAreKeptInBoundedRoom(t *testing.T) {
	var f differing
	for id := int64(1); id <= 5000; id += 100 {
		var diffs []caller.Difference
		for n := id + 99; n >= id; n-- {
			diffs = append(diffs, caller.Difference{ID: n, Field: "name"}, caller.Difference{ID: n, Field: "phone"})
		}
		f.add(diffs)
	}
	if len(f.first) != status.MaxDifferences || f.count != 10_000 || len(f.objects) != 5000 {
		t.Errorf("%d of %d differences in %d objects are kept", len(f.first), f.count, len(f.objects))
	}
	for i, d := range f.first {
		if want := int64(i/2 + 1); d.ID != want || f.objects[i/2] != want {
			t.Fatalf("difference %d is of %d, want %d", i, d.ID, want)
		}
	}
}
