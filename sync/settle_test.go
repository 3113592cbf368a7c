package sync

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
)

// doubtful is a mirror that was told, by a live answer, that user 5 and ticket
// 1005 are not there, and whose next export brings both: it cannot tell which
// of the two is later.
func doubtful(t *testing.T, a *account) *mirror {
	t.Helper()
	m := filled(t, a)
	<-time.After(time.Hour)
	sent := time.Now().UnixNano()
	m.plant(caller.Batch{Urgent: true, Gone: []caller.Gone{
		{Stream: caller.Users, ID: 5, Sent: sent}, {Stream: caller.Tickets, ID: 1005, Sent: sent},
	}})
	<-time.After(10 * time.Second)
	a.addUser(5)
	a.addTicket(1005, 5)
	a.forget()
	return m
}

func (m *mirror) wantFive(want bool) {
	m.t.Helper()
	synctest.Wait()
	_, user, err := m.store.Caller(5)
	if err != nil {
		m.t.Fatal(err)
	}
	_, ticket, err := m.store.Ticket(1005)
	if err != nil {
		m.t.Fatal(err)
	}
	if user != want || ticket != want {
		m.t.Errorf("the user is there: %v, the ticket: %v; want %v", user, ticket, want)
	}
}

func TestDoubtIsSettledByAsking(t *testing.T) {
	for _, mode := range []string{"incremental", "full"} {
		for _, there := range []bool{true, false} {
			t.Run(mode, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					a := newAccount(20, 20)
					m := doubtful(t, a)
					if !there {
						a.change(func(a *account) {
							a.gone, a.search.deleted = map[int64]bool{5: true}, map[int64]bool{1005: true}
						})
					}
					// While it is asked for, what is saved is where the walk
					// stood before: a kill has the page read again.
					held := m.store.Streams()
					a.refuse = func([]int64) error {
						if got := m.store.Streams().Users; got != held.Users {
							t.Errorf("while it is asked for the users stand at %+v, want %+v", got, held.Users)
						}
						return nil
					}
					m.wantState(m.run(mode), "done")
					if diff := cmp.Diff([][]int64{{5}}, a.readings); diff != "" {
						t.Errorf("users asked for (-want +got):\n%s", diff)
					}
					tickets := []int64{1005}
					if !there {
						tickets = []int64{1004, 1005} // what somebody who left has may be somebody else's
					}
					if diff := cmp.Diff(tickets, a.askedByID()); diff != "" {
						t.Errorf("tickets asked for (-want +got):\n%s", diff)
					}
					m.wantFive(there)
					m.wantCursor(caller.Users, "21")
					m.wantCursor(caller.Tickets, "21")
				})
			})
		}
	}
}

// TestDoubtThatCannotBeSettled has the run fail where it is: the next one goes
// on with the same page, also after a restart.
func TestDoubtThatCannotBeSettled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(20, 20)
		m := doubtful(t, a)
		broken := true
		a.refuse = func([]int64) error {
			if broken {
				return down
			}
			return nil
		}
		a.search.refuse = a.refuse
		held := m.store.Streams()
		for range 3 {
			m.wantState(m.run(""), "failed")
			if diff := cmp.Diff(held, m.store.Streams()); diff != "" {
				t.Errorf("where the streams stand (-want +got):\n%s", diff)
			}
		}
		m.wantFive(false)
		a.change(func(*account) { broken = false })
		m.wantState(m.run(""), "done")
		m.wantCursor(caller.Users, "21")
		m.wantCursor(caller.Tickets, "21")
		m.wantFive(true)
	})
}

// A page that comes again a minute later says itself that it is the later one.
func TestDoubtIsSettledByThePageThatComesAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(20, 20)
		m := doubtful(t, a)
		a.refuse = func([]int64) error { return down }
		a.search.refuse = a.refuse
		m.wantState(m.run(""), "failed")
		<-time.After(2 * time.Minute)
		m.wantState(m.run(""), "done")
		m.wantCursor(caller.Tickets, "21")
		m.wantFive(true)
	})
}

// TestDoubtThatZendeskCannotShow holds up no run, and is not forgotten: neither
// because the export has come past it nor because it failed often.
func TestDoubtThatZendeskCannotShow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(20, 20)
		m := doubtful(t, a)
		broken := true
		a.refuse = func([]int64) error {
			if broken {
				return &caller.UpstreamError{Fault: caller.FaultMalformed, Err: errors.New("no JSON")}
			}
			return nil
		}
		a.search.refuse = a.refuse
		for range 6 {
			m.wantState(m.run(""), "done")
			m.wantCursor(caller.Users, "21")
			<-time.After(time.Minute)
		}
		m.wantFive(false)
		a.change(func(*account) { broken = false })
		<-time.After(10 * time.Minute)
		m.wantFive(true)
		if n := m.Status().Notices.Waiting; n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}

// TestDoubtIsSettledOnThePromptShare keeps a stream from waiting for what is
// left of the budget.
func TestDoubtIsSettledOnThePromptShare(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(20, 20)
		m := doubtful(t, a)
		a.refuse = func([]int64) error { return down }
		a.search.refuse = a.refuse
		prompt := newShelf()
		prompt.put(5, "")
		prompt.putTicket(1005, 5, "open")
		m.prompt = prompt
		m.wantState(m.run(""), "done")
		m.wantFive(true)
	})
}

// TestDoubtOfAFirstFill has the fill end once it is settled.
func TestDoubtOfAFirstFill(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(20, 20)
		m := start(t, a, nil)
		sent := time.Now().UnixNano()
		m.plant(caller.Batch{Urgent: true, Gone: []caller.Gone{
			{Stream: caller.Users, ID: 5, Sent: sent}, {Stream: caller.Tickets, ID: 1005, Sent: sent},
		}})
		a.refuse = func([]int64) error {
			if p := m.position(caller.Users); p.Complete || p.Cursor != "" {
				t.Errorf("while it is asked for the users stand at %+v", p)
			}
			return nil
		}
		a.search.refuse = func([]int64) error {
			if p := m.position(caller.Tickets); !p.Start.IsZero() {
				t.Errorf("while it is asked for the tickets stand at %+v", p)
			}
			return nil
		}
		m.wantState(m.run(""), "done")
		m.wantFive(true)
		if !m.store.Streams().Filled() {
			t.Errorf("the fill ended at %+v", m.store.Streams())
		}
	})
}
