package sync

import (
	"fmt"
	"path/filepath"
	"strings"
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

func TestCatchingUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := searchable(10, 10)
		m := start(t, a, nil)
		wants := func(when string, want bool) {
			t.Helper()
			synctest.Wait()
			if got := m.CatchingUp(); got != want {
				t.Errorf("%s: catching up is %v", when, got)
			}
		}
		wants("before the fill", true)
		m.wantState(m.run(""), "done")
		wants("after it", false)

		a.pace[caller.Users] = time.Minute
		id := m.ask("")
		<-time.After(30 * time.Second)
		wants("in an increment of whose length nothing is known", false)
		m.wantState(m.await(id), "done")
		for i := range 120 {
			a.addUser(int64(100 + i))
		}
		id = m.ask("")
		<-time.After(90 * time.Second)
		wants("in an increment with more pages before it", true)
		m.wantState(m.await(id), "done")
		wants("at its end", false)

		a.setScript(func(Request) (*Page, error) { return nil, down })
		m.wantState(m.run(""), "failed")
		wants("after one that failed", true)
		m.wantState(m.run("full"), "failed")
		a.setScript(nil)
		m.wantState(m.run(""), "done")
		wants("after one that did not", false)
		a.setScript(func(Request) (*Page, error) { return nil, down })
		m.wantState(m.run("full"), "failed")
		wants("after a full run that failed", false)
	})
}

func TestSkippedRecordsAreCounted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var log logLines
		a := searchable(120, 120)
		a.setScript(func(r Request) (*Page, error) {
			p := a.page(r, a.send())
			p.Skipped = 2
			return p, nil
		})
		m := start(t, a, nil, func(o *Options) { o.Logger = log.logger() })
		m.wantState(m.run(""), "done")
		if got := m.Status().SkippedRecords; got != 8 { // three pages of users, one of tickets
			t.Errorf("%d are told", got)
		}
		m.wantState(m.run(""), "done")
		if n := strings.Count(log.String(), "records that cannot be read"); n != 2 {
			t.Errorf("%d warnings in two runs", n)
		}
	})
}

func TestLastSuccessAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "a.db")
		s := openStore(t, path)
		m := start(t, newAccount(10, 10), s)
		if at := m.Status().LastSuccess; !at.IsZero() {
			t.Errorf("before the fill: %v", at)
		}
		m.wantState(m.run(""), "done")
		ended := time.Now()
		m.stop()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		m = start(t, newAccount(10, 10), openStore(t, path))
		if at := m.Status().LastSuccess; !at.Equal(ended) {
			t.Errorf("after a restart: %v, want %v", at, ended)
		}
	})
}

// A mirror that was down for a day is behind before the first page says so.
func TestCatchingUpAfterAStart(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Options)
		want   bool
	}{
		{"a run begins at once", func(o *Options) { o.OnStart = true }, true},
		{"the schedule has one begin soon", func(o *Options) { o.Schedule = "@every 1m" }, true},
		{"the next run is hours away", func(o *Options) { o.Schedule = "@every 12h" }, false},
		{"runs are only asked for", func(*Options) {}, false},
		{"full runs only", func(o *Options) { o.FullSchedule = "@every 1m" }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := searchable(10, 10)
				path := filepath.Join(t.TempDir(), "a.db")
				s := openStore(t, path)
				m := start(t, a, s)
				m.wantState(m.run(""), "done")
				m.stop()
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				<-time.After(24 * time.Hour)
				a.change(func(a *account) { a.pace[caller.Users] = time.Minute })
				m = start(t, a, openStore(t, path), tt.change)
				if got := m.CatchingUp(); got != tt.want {
					t.Errorf("after a start it is catching up: %v", got)
				}
				<-time.After(30 * time.Second)
				if got := m.CatchingUp(); got != tt.want {
					t.Errorf("before the first page it is catching up: %v", got)
				}
				<-time.After(10 * time.Minute)
				synctest.Wait()
				if m.CatchingUp() {
					t.Error("still catching up after the first run")
				}
			})
		})
	}
}
