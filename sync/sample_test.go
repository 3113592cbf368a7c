package sync

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aniproxy/internal/caller"
)

// sampled has random records compared every minute, and increments go on.
func sampled(o *Options) {
	o.SampleEvery = 0
	o.Schedule = "@every 1m"
	n := uint64(0)
	o.Random = func() uint64 { n += 0x9e3779b97f4a7c15; return n ^ n>>29 }
}

// fill has the mirror know so many users and as many tickets.
func (r *reading) fill(n int64) {
	r.t.Helper()
	for id := int64(1); id <= n; id++ {
		r.shelf.put(id, "")
		r.shelf.putTicket(1000+id, id, "open")
		r.tell(id, 1000+id)
	}
	r.settle()
	<-time.After(10 * time.Minute)
	synctest.Wait()
	r.shelf.forget()
}

func TestMirrorThatIsTrue(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil, sampled)
		r.fill(200)
		<-time.After(time.Hour)
		synctest.Wait()
		st := r.Status().Sample
		if st.Checked < 2000 || st.Differ != 0 || st.Behind != 0 || st.Share != 0 || time.Since(st.At) > 2*time.Minute {
			t.Errorf("the sample is %+v", st)
		}
		for _, a := range h.asked("users") {
			if len(a.ids) > sampleSize {
				t.Errorf("%d users at once", len(a.ids))
			}
		}
	})
}

func TestSampleIsOfTheLastDay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil, sampled, func(o *Options) { o.SampleEvery, o.Schedule = time.Hour, "@every 1h" })
		r.fill(20)
		<-time.After(72 * time.Hour)
		synctest.Wait()
		if n := r.Status().Sample.Checked; n != 24*2*sampleSize {
			t.Errorf("%d compared in a day, want %d", n, 24*2*sampleSize)
		}
	})
}

// What changed long ago and the mirror does not know is a difference; what
// changed a moment ago it is not supposed to know yet.
func TestDifferenceIsFoundToldAndHealed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		var log logLines
		r := onShelf(t, h, nil, sampled, func(o *Options) { o.Logger = log.logger() })
		r.fill(15)
		// The export is empty: nobody tells of these.
		h.put(3, numberA)
		h.putTicket(1005, 5, "solved")
		h.moveQuietly(numberB, 1, 7)
		<-time.After(40 * time.Second)
		r.fillNothing()
		st := r.Status().Sample
		if st.Differ+st.Behind == 0 {
			t.Fatalf("nothing was found: %+v", st)
		}
		<-time.After(10 * time.Minute)
		synctest.Wait()
		st = r.Status().Sample
		if st.Differ+st.Behind != 3 || st.Differ == 0 || st.Share == 0 {
			t.Errorf("the sample is %+v", st)
		}
		r.wantNumber(numberA, 3)
		r.wantNumber(numberB, 7)
		r.wantTickets(5)
		if text := log.String(); strings.Contains(text, numberA) || strings.Contains(text, numberB) ||
			strings.Count(text, "the mirror was not as Zendesk is") != int(st.Differ) {
			t.Errorf("the log is\n%s", text)
		}
	})
}

// fillNothing lets a minute's comparison go by.
func (r *reading) fillNothing() {
	<-time.After(time.Minute)
	synctest.Wait()
}

func TestOldDifferenceSaysHowOldItIs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil, sampled, func(o *Options) { o.SampleEvery = 3 * time.Hour })
		r.fill(10)
		h.put(4, numberA)
		<-time.After(3 * time.Hour)
		synctest.Wait()
		st := r.Status().Sample
		if st.Differ != 1 || st.Behind != 0 || st.Oldest < time.Hour || st.Oldest > 4*time.Hour {
			t.Errorf("the sample is %+v", st)
		}
		if want := float64(st.Differ) / float64(st.Checked); st.Share != want {
			t.Errorf("the share is %v, want %v", st.Share, want)
		}
		<-time.After(26 * time.Hour)
		synctest.Wait()
		if st := r.Status().Sample; st.Differ != 0 || st.Oldest != 0 {
			t.Errorf("a day later: %+v", st)
		}
	})
}

func TestChangeOfTheMinuteIsBehind(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil, sampled)
		r.fill(10)
		for range 20 {
			h.put(4, numberA)
			h.putTicket(1004, 4, "hold")
			r.fillNothing()
		}
		if st := r.Status().Sample; st.Differ != 0 || st.Behind < 30 {
			t.Errorf("the sample is %+v", st)
		}
	})
}

// Zendesk does not say since when it has not an object any more: that is known
// once the stream is past the moment at which it was first missed.
func TestObjectThatIsNotThereAnyMore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil, sampled)
		r.fill(10)
		for _, o := range objects(4, 1005, 1006) {
			h.remove(o)
		}
		r.fillNothing()
		if st := r.Status().Sample; st.Differ != 0 {
			t.Errorf("at once: %+v", st)
		}
		// The export brings one of them meanwhile.
		gone := caller.Gone{Stream: caller.Tickets, ID: 1005, Sent: time.Now().UnixNano()}
		if _, err := r.store.Apply(t.Context(), caller.Batch{Gone: []caller.Gone{gone}}); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Minute)
		synctest.Wait()
		if st := r.Status().Sample; st.Differ != 2 || st.Behind != 1 || st.Oldest < time.Minute {
			t.Errorf("after a while: %+v", st)
		}
		r.wantTickets(6)
		if _, ok, err := r.store.Caller(4); ok || err != nil {
			t.Errorf("still there: %v, %v", ok, err)
		}
		if n := len(r.sampler.suspects); n != 0 {
			t.Errorf("%d suspects are left", n)
		}
	})
}

// A record that changes between the reading and the comparison is no
// difference.
func TestRecordThatChangesMeanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil, sampled)
		r.fill(10)
		n := 0
		h.set(func(h *shelf) {
			h.pace = time.Second
			h.fail = func(what string, ids []int64) error {
				// While an answer is on its way the mirror is told of the next
				// version.
				if n++; what == "users" && len(ids) == 10 {
					go func() {
						<-time.After(500 * time.Millisecond)
						h.put(ids[n%10], numberA)
						u := h.users[ids[n%10]]
						u.Version.Sent = time.Now().UnixNano()
						_, err := r.store.Apply(t.Context(), caller.Batch{Users: []caller.UserUpdate{u}, Urgent: true})
						if err != nil {
							t.Error(err)
						}
					}()
				}
				return nil
			}
		})
		<-time.After(30 * time.Minute)
		synctest.Wait()
		h.set(func(h *shelf) { h.fail = nil })
		if st := r.Status().Sample; st.Differ != 0 || st.Behind != 0 || st.Checked < 300 {
			t.Errorf("the sample is %+v", st)
		}
	})
}

func TestSamplerRests(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil, sampled)
		r.fill(50)
		h.set(func(h *shelf) { h.fail = func(string, []int64) error { return down } })
		<-time.After(time.Hour)
		synctest.Wait()
		if n := len(h.asked("users")); n < 10 || n > 14 {
			t.Errorf("%d tries in an hour, want one in five minutes", n)
		}
		// Credentials that see half of everything are no finding.
		h.set(func(h *shelf) {
			h.fail = nil
			for id := int64(1); id <= 50; id += 2 {
				delete(h.users, id)
				delete(h.tickets, 1000+id)
			}
		})
		before := r.Status().Sample.Differ
		<-time.After(time.Hour)
		synctest.Wait()
		if st := r.Status().Sample; st.Differ != before || r.store.Size().Users != 50 || r.store.Size().Tickets != 50 {
			t.Errorf("%+v; the mirror holds %+v", st, r.store.Size())
		}
	})
}

func TestIdentitiesThatAreNotKeptAreNotCompared(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newShelf()
		r := onShelf(t, h, nil, sampled, func(o *Options) { o.Identities = false })
		r.fill(10)
		h.moveQuietly(numberA, 1, 2)
		<-time.After(time.Hour)
		synctest.Wait()
		if st := r.Status().Sample; st.Differ+st.Behind != 0 || st.Checked == 0 {
			t.Errorf("the sample is %+v", st)
		}
	})
}
