package sync

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aniproxy/internal/caller"
)

// thousand is a mirror of that many people, with a guard.
func thousand(t *testing.T, guard float64, change ...func(*Options)) *reading {
	t.Helper()
	h := newShelf()
	r := onShelf(t, h, nil, append(change, func(o *Options) { o.DeleteGuard = guard })...)
	for id := int64(1); id <= 1000; id++ {
		h.put(id, "")
		r.tell(id)
	}
	r.settle()
	return r
}

func (r *reading) lose(every int64) {
	for id := int64(1); id <= 1000; id += every {
		r.shelf.remove(caller.Object{Stream: caller.Users, ID: id})
	}
}

func TestRoundTakesOutNoMoreThanTheGuardAllows(t *testing.T) {
	for _, tt := range []struct {
		name  string
		guard float64
		every int64 // of so many one has gone
		want  int64
	}{
		{"a guard that allows nothing", 0, 5, 1000},
		{"nothing, and one in each request has gone", 0, 100, 1000},
		{"one in each request is more than the whole mirror may lose", 0.005, 100, 995},
		{"more in each request than its share", 0.1, 5, 1000},
		{"as much as the guard allows", 0.2, 5, 800},
		{"a guard that allows everything", 1, 5, 800},
		{"more than would ever be believed of one request", 1, 2, 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				l := &logLines{}
				r := thousand(t, tt.guard, inRounds, func(o *Options) { o.Logger = l.logger() })
				r.lose(tt.every)
				<-time.After(8 * time.Hour)
				synctest.Wait()
				if got := r.store.Size().Users; got != tt.want {
					t.Errorf("%d people are left, want %d", got, tt.want)
				}
				told := strings.Contains(l.String(), "not to be seen")
				if held := tt.want > 1000-1000/tt.every; told != held {
					t.Errorf("the log tells of it: %v, want %v", told, held)
				}
			})
		})
	}
}

// The allowance is a day's: what leaves in the usual way goes the next day.
func TestGuardCountsByTheDay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := thousand(t, 0.005, inRounds)
		r.lose(100)
		<-time.After(50 * time.Hour)
		synctest.Wait()
		if got := r.store.Size().Users; got != 990 {
			t.Errorf("%d people are left, want 990", got)
		}
	})
}

// Requests for a few are not judged by their share, so the sum has to be.
func TestGuardCountsRequestsForAFew(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := thousand(t, 0.02)
		allowed := 0
		for id := int64(1); id <= 1000; id += 5 {
			var gone []caller.Gone
			for n := range int64(5) {
				gone = append(gone, caller.Gone{Stream: caller.Users, ID: id + n, Sent: time.Now().UnixNano()})
			}
			allowed += len(r.admit(caller.Users, gone, len(gone)))
		}
		if allowed != 20 {
			t.Errorf("%d of a thousand may go, want 20", allowed)
		}
	})
}
