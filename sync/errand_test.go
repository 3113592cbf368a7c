package sync

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

// errandFor asks for one person to be read.
func (r *reading) errandFor(q status.Request) string {
	r.t.Helper()
	q.Mode = "user"
	id, err := r.Start(q)
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func recordsOf(job status.Job) map[string]int64 {
	all := map[string]int64{}
	for _, p := range job.Progress {
		all[p.Stream] = p.Records
	}
	return all
}

func TestOneUserIsReadNow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		h.put(1, numberA)
		for id := int64(1001); id <= 1004; id++ {
			h.putTicket(id, 1, "open")
		}
		job := r.await(r.errandFor(status.Request{UserID: 1}))
		r.wantState(job, "done")
		r.wantNumber(numberA, 1)
		r.wantTickets(1, 1001, 1002, 1003, 1004)
		if c, ok, err := r.store.Caller(1); !ok || err != nil || time.Since(c.TicketsSeen) > time.Second {
			t.Errorf("all tickets were seen %v: %v, %v", c.TicketsSeen, ok, err)
		}
		if job.Mode != "user" || job.Trigger != "request" || job.Started.IsZero() {
			t.Errorf("the job is %+v", job)
		}

		// One solved, one deleted, one given to somebody else, one that is new.
		<-time.After(time.Minute)
		h.putTicket(1001, 1, "solved")
		h.remove(objects(1002)[0])
		h.put(2, numberB)
		h.putTicket(1003, 2, "open")
		h.putTicket(1005, 1, "new")
		h.put(1, "", numberB)
		job = r.await(r.errandFor(status.Request{UserID: 1}))
		r.wantState(job, "done")
		r.wantTickets(1, 1004, 1005)
		r.wantTickets(2, 1003)
		r.wantNumber(numberA)
		if diff := cmp.Diff(map[string]int64{"users": 1, "tickets": 5}, recordsOf(job)); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
		// Whoever has the ticket now is read too.
		r.settle()
		r.wantNumber(numberB, 1, 2)
		if st := r.Status(); len(st.Last) != 3 || st.Last[0].ID != job.ID || st.Running != nil || st.LastError != "" {
			t.Errorf("the status is %+v", st)
		}
	})
}

func TestUserWhomZendeskDoesNotHave(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		h.put(1, numberA)
		h.put(2, numberB)
		h.putTicket(1001, 1, "open")
		r.tell(1, 2, 1001)
		r.settle()
		<-time.After(time.Minute)
		h.remove(objects(1)[0])
		h.putTicket(1001, 2, "open")
		job := r.await(r.errandFor(status.Request{UserID: 1}))
		r.wantState(job, "failed")
		if job.Error != "Zendesk has no user 1" {
			t.Errorf("the error is %q", job.Error)
		}
		r.wantNumber(numberA)
		r.wantTickets(1)
		r.wantTickets(2, 1001)
		if st := r.Status(); st.LastError != "" {
			t.Errorf("an errand's error is told as the upkeep's: %q", st.LastError)
		}
	})
}

func TestEverybodyOfANumber(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		h.put(1, numberA)
		h.put(2, "", numberA)
		r.tell(1, 2)
		r.settle()
		<-time.After(time.Minute)
		h.put(1, "")                 // has lost it
		h.put(3, numberA)            // has it, and the mirror does not know
		h.put(4, "+445135550001")    // another number with the same end
		h.putTicket(1001, 3, "open") // theirs
		h.putTicket(1002, 2, "hold") // theirs too
		h.putTicket(1003, 4, "open") // nobody's who was asked for
		h.forget()
		job := r.await(r.errandFor(status.Request{Number: numberA}))
		r.wantState(job, "done")
		r.wantNumber(numberA, 2, 3)
		r.wantTickets(3, 1001)
		r.wantTickets(2, 1002)
		r.wantTickets(4)
		if asked := h.asked("users"); len(asked) != 1 || !slices.Equal(asked[0].ids, []int64{1, 2, 3}) {
			t.Errorf("read %v", asked)
		}

		h.set(func(h *shelf) { h.sparse = true })
		job = r.await(r.errandFor(status.Request{Number: numberA}))
		r.wantState(job, "failed")
		if !strings.Contains(job.Error, "not all of them") {
			t.Errorf("the error is %q", job.Error)
		}
	})
}

func TestRequestsForOnePerson(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		for name, q := range map[string]status.Request{
			"neither":      {},
			"both":         {UserID: 1, Number: numberA},
			"not a number": {Number: "5135550001"},
			"no such id":   {UserID: -4},
			"not in E.164": {Number: "+1 513 555 0001"},
		} {
			q.Mode = "user"
			_, err := r.Start(q)
			var refused *status.StateError
			if !errors.As(err, &refused) || refused.Mode != "user" || refused.Why == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		h.set(func(h *shelf) { h.pace = time.Minute })
		h.put(1, numberA)
		first := r.errandFor(status.Request{UserID: 1})
		synctest.Wait()
		if again := r.errandFor(status.Request{UserID: 1}); again != first {
			t.Errorf("the same request is job %s, want %s", again, first)
		}
		if other := r.errandFor(status.Request{Number: numberA}); other == first {
			t.Error("another request joined it")
		}
		r.wantState(r.await(first), "done")
		if next := r.errandFor(status.Request{UserID: 1}); next == first {
			t.Error("a request after the end joined it")
		}
	})
}

// Errands go on beside each other and beside a run, a few at a time.
func TestErrandsBesideEachOther(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		h.set(func(h *shelf) { h.pace = time.Minute })
		var ids []string
		for id := int64(1); id <= 30; id++ {
			h.put(id, fmt.Sprintf("+1513555%04d", id))
			ids = append(ids, r.errandFor(status.Request{UserID: id}))
		}
		synctest.Wait()
		running, queued := 0, 0
		for _, id := range ids {
			job, ok := r.Job(id)
			if !ok {
				t.Fatalf("job %s is not known", id)
			}
			switch job.State {
			case "running":
				running++
			case "queued":
				queued++
			}
		}
		if running != 4 || queued != 26 {
			t.Errorf("%d run and %d wait", running, queued)
		}
		r.wantState(r.run(""), "done")
		for _, id := range ids[:4] {
			r.wantState(r.await(id), "done")
		}
		r.wantState(r.await(ids[29]), "done")
		if r.store.Size().Users != 30 {
			t.Errorf("%d users were read", r.store.Size().Users)
		}
		modes := map[string]int{}
		for _, job := range r.Status().Last {
			modes[job.Mode]++
		}
		if modes["incremental"] == 0 || modes["user"] == 0 || len(r.Status().Last) != keptJobs {
			t.Errorf("told are %v", modes)
		}
	})
}

func TestErrandsAtTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		h.set(func(h *shelf) { h.pace = time.Minute })
		var ids []string
		for id := int64(1); id <= 6; id++ {
			ids = append(ids, r.errandFor(status.Request{UserID: id}))
		}
		synctest.Wait()
		r.stop()
		for _, id := range ids {
			job, ok := r.Job(id)
			if !ok || job.State != "cancelled" || job.Ended.IsZero() {
				t.Errorf("job %s: %+v, %v", id, job, ok)
			}
		}
		if _, err := r.Start(status.Request{Mode: "user", UserID: 1}); !errors.Is(err, ErrStopped) {
			t.Errorf("a request after the end: %v", err)
		}
	})
}

func TestErrandThatFails(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil)
		h.put(1, numberA)
		for _, what := range []string{"users", "requested", "tickets", "search"} {
			h.set(func(h *shelf) {
				h.fail = func(w string, _ []int64) error {
					if w == what {
						return down
					}
					return nil
				}
			})
			q := status.Request{UserID: 1}
			if what == "search" {
				q = status.Request{Number: numberA}
			}
			if what == "tickets" { // one that only the mirror has
				b := caller.Batch{Tickets: []caller.TicketUpdate{{Ticket: caller.Ticket{ID: 1009, RequesterID: 1, Status: "open"}, Version: caller.Version{Updated: 1, Sent: 1}}}}
				if _, err := r.store.Apply(t.Context(), b); err != nil {
					t.Fatal(err)
				}
			}
			job := r.await(r.errandFor(q))
			if job.State != "failed" || !strings.Contains(job.Error, "503") {
				t.Errorf("%s: %s, %q", what, job.State, job.Error)
			}
		}
	})
}
