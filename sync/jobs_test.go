package sync

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

// filled is a mirror at work whose first fill is done.
func filled(t *testing.T, a *account, change ...func(*Options)) *mirror {
	t.Helper()
	m := start(t, a, nil, change...)
	m.wantState(m.run(""), "done")
	a.forget()
	return m
}

func TestRequestsWhileOneRunsJoinIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(10, 10)
		m := filled(t, a)
		a.pace[caller.Users] = time.Minute
		first := m.ask("incremental")
		synctest.Wait()
		if again := m.ask(""); again != first {
			t.Errorf("a second request is job %s, want %s", again, first)
		}
		m.wantState(m.await(first), "done")
		if next := m.ask(""); next == first {
			t.Error("a request after the end joined it")
		}
	})
}

// TestNothingWaitsForTheOtherStreamsFill: a big account's tickets take hours,
// its people must stay fresh meanwhile.
func TestNothingWaitsForTheOtherStreamsFill(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(10, 500)
		a.pace[caller.Tickets] = 10 * time.Minute
		m := start(t, a, nil, func(o *Options) { o.Schedule = "@every 1m"; o.OnStart = true })
		var users atomic.Int32
		<-time.After(time.Hour)
		a.setScript(func(r Request) (*Page, error) {
			if r.Stream == caller.Users && users.Add(1) == 5 {
				return nil, down // does not end the following
			}
			return nil, nil
		})
		a.addUser(11)
		<-time.After(30 * time.Minute)
		synctest.Wait()
		st := m.Status()
		if st.Running == nil || st.Running.ID != "job1" || m.store.Streams().Filled() {
			t.Fatalf("the fill does not go on: %+v", st)
		}
		if m.store.Size().Users != 11 {
			t.Error("the newest user is not mirrored")
		}
		if age := time.Since(m.position(caller.Users).Watermark); age > 3*time.Minute {
			t.Errorf("users are %v old", age)
		}
		job := m.await("job1")
		m.wantState(job, "done")
		m.wantMirrored()
		if n := len(a.asked(caller.Users)); n < 85 || n > 110 {
			t.Errorf("users were asked for %d times in 100 minutes", n)
		}
	})
}

func TestSchedule(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(10, 10)
		// The bubble begins on Saturday, 1 January 2000, at midnight UTC.
		m := start(t, a, nil, func(o *Options) {
			o.Schedule, o.FullSchedule, o.OnStart = "@every 1m", "0 3 * * 0", true
		})
		began := time.Now()
		if got := m.Status(); !got.NextRun.Equal(began.Add(time.Minute)) || len(got.Last) != 1 || got.Last[0].Trigger != "start" {
			t.Errorf("at the start: next %v, last %+v", got.NextRun, got.Last)
		}
		a.forget()
		<-time.After(10*time.Minute + time.Second)
		synctest.Wait()
		if n := len(a.asked(caller.Users)); n != 10 {
			t.Errorf("%d runs in ten minutes", n)
		}
		var full atomic.Int32
		a.setScript(func(r Request) (*Page, error) {
			if r.Stream == caller.Users && r.Cursor == "" {
				full.Add(1)
			}
			return nil, nil
		})
		<-time.After(27*time.Hour - time.Since(began) - time.Second)
		synctest.Wait()
		if full.Load() != 0 {
			t.Error("a full walk before its time")
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if n := full.Load(); n != 1 {
			t.Errorf("%d full walks on Sunday at three", n)
		}
		<-time.After(time.Hour)
		st := m.Status()
		if len(st.Last) != 20 {
			t.Errorf("%d runs are told", len(st.Last))
		}
		if last := st.Last[19]; last.Mode != "full" || last.Trigger != "schedule" || last.State != "done" {
			t.Errorf("the full walk is forgotten: the oldest told is %+v", last)
		}
	})
}

func TestSchedulesThatCannotBeRead(t *testing.T) {
	for _, spec := range []string{"every minute", "* * * *", "61 * * * *", "TZ=UTC", "@every soon"} {
		_, err := New(Options{Schedule: spec, Logger: written.Logger(t.Name())})
		if err == nil || !strings.Contains(err.Error(), spec) {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

func TestPanicIsAFailedRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var log bytes.Buffer
		a := newAccount(10, 10)
		m := filled(t, a, func(o *Options) {
			o.Logger = slog.New(slog.NewTextHandler(io.MultiWriter(&log, written.Sink(t.Name())), nil))
		})
		for _, mode := range []string{"incremental", "full"} {
			a.setScript(func(r Request) (*Page, error) {
				if r.Stream == caller.Users {
					panic("no such user: Ada, +15135550100")
				}
				return []*Page{}[len(r.Stream)], nil // the runtime's own panic
			})
			job := m.run(mode)
			m.wantState(job, "failed")
			want := "users: panic of type string; " +
				"tickets: panic: runtime error: index out of range [7] with length 0"
			if job.Error != want {
				t.Errorf("the error is %q, want %q", job.Error, want)
			}
			a.setScript(nil)
			m.wantState(m.run(mode), "done")
		}
		if text := log.String(); strings.Contains(text, "Ada") || !strings.Contains(text, "(*account).Export") {
			t.Errorf("the log has what the panic said, or no stack:\n%s", text)
		}
	})
}

// cron recovers what its jobs panic with, and would have all of it logged.
func TestAPanicOnScheduleTellsOfNobody(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log := written.Sink(t.Name())
		m := start(t, newAccount(10, 10), nil, func(o *Options) {
			o.Logger = slog.New(slog.NewTextHandler(log, nil))
			o.Schedule = "@every 1m"
			o.NewID = func() string { panic("no id for Ada, +15135550100") }
		})
		<-time.After(61 * time.Second)
		m.stop()
		cronLogger{m.log}.Error(errors.New("Ada, +15135550100"), "panic")
		text := log.String()
		for _, want := range []string{`error="schedule: panic of type string"`, "(*Syncer).Start", "msg=cron event=panic type=*errors.errorString"} {
			if !strings.Contains(text, want) {
				t.Errorf("the log has no %q:\n%s", want, text)
			}
		}
		if strings.Contains(text, "Ada") || strings.Contains(text, "5550100") {
			t.Errorf("the log has what the panic said:\n%s", text)
		}
	})
}

func TestLogHasCountsAndNobody(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var log bytes.Buffer
		a := newAccount(70, 30)
		m := filled(t, a, func(o *Options) {
			o.Logger = slog.New(slog.NewTextHandler(io.MultiWriter(&log, written.Sink(t.Name())), &slog.HandlerOptions{Level: slog.LevelDebug}))
			o.Identities = true
		})
		m.stop()
		text := log.String()
		for _, want := range []string{
			`msg="sync run started" job=job1 mode=incremental trigger=request`,
			`msg="sync run ended" job=job1 mode=incremental state=done`,
			"users.pages=2 users.records=70 users.accepted=70", "tickets.pages=1 tickets.records=30 tickets.accepted=30",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("the log has no %q:\n%s", want, text)
			}
		}
		for _, private := range []string{"Somebody", "+1513", "Help"} {
			if strings.Contains(text, private) {
				t.Errorf("the log has %q:\n%s", private, text)
			}
		}
	})
}

func TestShutdownWaitsForWhatRuns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(10, 10)
		m := filled(t, a, func(o *Options) { o.Identities = true })
		var answered atomic.Bool
		a.setScript(func(Request) (*Page, error) {
			<-time.After(5 * time.Second) // an answer that cannot be called off
			answered.Store(true)
			return nil, nil
		})
		running := m.ask("")
		synctest.Wait()
		pruned := m.store.pruned
		m.stop()
		if !answered.Load() {
			t.Error("Run returned before the source had")
		}
		job, _ := m.Job(running)
		m.wantState(job, "cancelled")
		if st := m.Status(); st.Running != nil || st.LastError != "" || !st.NextRun.IsZero() {
			t.Errorf("after the end: %+v", st)
		}
		if m.store.pruned != pruned {
			t.Error("a cancelled run forgot what left")
		}
		if _, err := m.Start(status.Request{}); !errors.Is(err, ErrStopped) {
			t.Errorf("a request after the end: %v", err)
		}
		if err := m.Run(t.Context()); !errors.Is(err, ErrRunning) {
			t.Errorf("a second Run: %v", err)
		}
	})
}

func TestQueuedWalkIsCalledOffAtTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(10, 10)
		m := filled(t, a)
		a.pace[caller.Users] = time.Hour
		m.ask("")
		synctest.Wait()
		full := m.ask("full")
		m.stop()
		job, ok := m.Job(full)
		if !ok || job.State != "cancelled" || !job.Started.IsZero() || job.Ended.IsZero() {
			t.Errorf("the queued walk ended as %+v", job)
		}
	})
}

func TestRequestBeforeRunWaitsForIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := openStore(t, filepath.Join(t.TempDir(), "a.db"))
		syncer, err := New(Options{Source: newAccount(10, 10), Store: s, Logger: written.Logger(t.Name()), OnStart: true})
		if err != nil {
			t.Fatal(err)
		}
		id, err := syncer.Start(status.Request{})
		if err != nil || len(id) < 8 {
			t.Fatalf("job %q, %v", id, err)
		}
		if job, ok := syncer.Job(id); !ok || job.State != "queued" {
			t.Errorf("before Run the job is %+v, %v", job, ok)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- syncer.Run(ctx) }()
		synctest.Wait()
		if st := syncer.Status(); len(st.Last) != 1 || st.Last[0].ID != id || st.Last[0].State != "done" {
			t.Errorf("runs after the start: %+v, want the one asked for", st.Last)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestUnknownMode(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := start(t, newAccount(1, 1), nil)
		_, err := m.Start(status.Request{Mode: "sideways"})
		var mode *status.ModeError
		if !errors.As(err, &mode) || mode.Mode != "sideways" {
			t.Fatalf("got %v", err)
		}
		if diff := cmp.Diff([]string{"incremental", "full", "verify", "user"}, mode.Allowed); diff != "" {
			t.Errorf("allowed (-want +got):\n%s", diff)
		}
	})
}

func TestIDsAreUnique(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := start(t, newAccount(1, 1), nil, func(o *Options) { o.NewID = func() string { return "same" } })
		seen := map[string]bool{}
		for range 15 {
			id := m.run("").ID
			if seen[id] {
				t.Fatalf("the id %s came twice", id)
			}
			seen[id] = true
		}
	})
}
