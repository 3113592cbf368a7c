package sync

import (
	"fmt"
	stdsync "sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

// TestStatusAtAnyTime reads while everything writes: for the race detector.
func TestStatusAtAnyTime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(500, 500)
		a.pace[caller.Users], a.pace[caller.Tickets] = time.Second, time.Second
		m := start(t, a, nil, func(o *Options) {
			o.Schedule, o.FullSchedule, o.OnStart, o.Identities = "@every 1s", "* * * * *", true, true
		})
		var wg stdsync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 500 {
					st := m.Status()
					for _, job := range st.Last {
						job.Progress[0].Stream = "a copy" // must harm nobody
					}
					if st.Running != nil {
						if _, ok := m.Job(st.Running.ID); !ok && len(st.Last) < keptJobs {
							t.Errorf("the running job %s is not known", st.Running.ID)
						}
					}
					<-time.After(time.Second)
				}
			})
		}
		wg.Wait()
		for _, job := range m.Status().Last {
			if job.Progress[0].Stream != "users" || job.State != "done" {
				t.Errorf("a job reads %+v", job)
			}
		}
	})
}

func TestProgress(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(0, 0)
		day := 24 * time.Hour
		begin := time.Now().Add(-100*day - exportLag)
		n := 0
		a.setScript(func(r Request) (*Page, error) {
			if r.Stream == caller.Tickets {
				return nil, nil
			}
			<-time.After(time.Minute)
			p := &Page{
				Users: newAccount(1000, 0).users, Newest: begin.Add(time.Duration(n*10) * day),
				Unreadable: []string{fmt.Sprintf("22*-*%02d", n), "ext. *"},
			}
			n++
			p.Next, p.End = fmt.Sprint(n), n == 20
			return p, nil
		})
		m := start(t, a, nil, func(o *Options) { o.OnStart = true })
		<-time.After(5*time.Minute + time.Second)
		synctest.Wait()
		got := m.Status().Running.Progress[0]
		// Five pages in five minutes; 40 of 100 days were read.
		want := status.Progress{
			Stream: "users", Pages: 5, Records: 5000, RecordsPerSecond: 5000.0 / 301,
			Position: begin.Add(40 * day), Remaining: 451500 * time.Millisecond,
		}
		near := cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() < 2*time.Second })
		if diff := cmp.Diff(want, got, near, cmp.Comparer(time.Time.Equal)); diff != "" {
			t.Errorf("progress (-want +got):\n%s", diff)
		}
		if got := m.Status().Running.Progress[1]; !got.Done || got.Remaining != 0 {
			t.Errorf("the other stream: %+v", got)
		}
		m.await("job1")
		examples := m.Status().Unreadable
		if len(examples) != 10 || examples[9] != "22*-*19" {
			t.Errorf("examples of unreadable phones: %q", examples)
		}
	})
}
