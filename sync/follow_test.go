package sync

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/caller"
)

// rejected is how Zendesk refuses a cursor.
var rejected = &caller.UpstreamError{Fault: caller.FaultRejected, Err: errors.New("422 InvalidValue")}

// down is Zendesk being down.
var down = &caller.UpstreamError{Fault: caller.FaultDown, Err: errors.New("503")}

// wantCursorsBehindData checks rule 1 on every batch: all records before its
// cursor are in it or in the batches before.
func wantCursorsBehindData(t *testing.T, m *mirror) {
	t.Helper()
	for _, stream := range []caller.Stream{caller.Users, caller.Tickets} {
		got := map[int64]bool{}
		for i, b := range m.store.written(stream) {
			for _, u := range b.Users {
				got[u.Version.Updated] = true
			}
			for _, ticket := range b.Tickets {
				got[ticket.Version.Updated] = true
			}
			n, err := strconv.Atoi(b.Position.Cursor)
			if err != nil {
				t.Fatal(err)
			}
			for k := range n {
				if !got[changed(k).Unix()] {
					t.Fatalf("batch %d of %s: the cursor is %d, but record %d was not written", i, stream, n, k)
				}
			}
		}
	}
}

func TestFirstFill(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(270, 120)
		a.overlap = 3
		a.addUser(7) // changed meanwhile: the same person comes twice
		m := start(t, a, nil, func(o *Options) { o.FirstFillRecords = 100 })
		job := m.run("")
		m.wantState(job, "done")
		m.wantMirrored()
		wantCursorsBehindData(t, m)

		var pages []int
		for _, b := range m.store.written(caller.Users) {
			pages = append(pages, len(b.Users))
		}
		// Six pages of 50 and 3 repeated each: two at a time make 100.
		if diff := cmp.Diff([]int{103, 106, 77}, pages); diff != "" {
			t.Errorf("records in the batches of users (-want +got):\n%s", diff)
		}
		now := time.Now()
		want := caller.Streams{
			Users:   caller.Position{Stream: caller.Users, Cursor: "271", Complete: true, Watermark: now.Add(-time.Minute)},
			Tickets: caller.Position{Stream: caller.Tickets, Cursor: "120", Complete: true, Watermark: now.Add(-time.Minute)},
		}
		if diff := cmp.Diff(want, m.store.Streams(), cmp.Comparer(time.Time.Equal)); diff != "" {
			t.Errorf("positions (-want +got):\n%s", diff)
		}
		for _, r := range a.asked(caller.Users) {
			if !r.Backfill {
				t.Error("a page of a fill was paid from the increments' budget")
			}
		}
		if caller, ok, err := m.store.Caller(7); err != nil || !ok || caller.User.Name != "Somebody 7-270" {
			t.Errorf("user 7 is %q, %v, %v: want the newer record", caller.User.Name, ok, err)
		}
	})
}

func TestFillHoldsPagesBackForSecondsOnly(t *testing.T) {
	for pace, want := range map[time.Duration]int{
		6 * time.Second:         4, // ten a minute: each is written as it comes
		1500 * time.Millisecond: 2, // two make more than fillPause
		100 * time.Millisecond:  1,
	} {
		t.Run(pace.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := newAccount(200, 0)
				a.pace[caller.Users] = pace
				m := start(t, a, nil)
				m.wantState(m.run(""), "done")
				if n := len(m.store.written(caller.Users)); n != want {
					t.Errorf("%d batches for 4 pages, want %d", n, want)
				}
			})
		})
	}
}

func TestIncrementWritesEachPageByItself(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(10, 10)
		m := start(t, a, nil)
		m.wantState(m.run(""), "done")
		for i := range 120 {
			a.addUser(int64(100 + i))
		}
		a.forget()
		before := len(m.store.written(caller.Users))
		m.wantState(m.run(""), "done")
		if n := len(m.store.written(caller.Users)) - before; n != 3 {
			t.Errorf("%d batches for 3 pages", n)
		}
		want := []Request{{Stream: caller.Users, Cursor: "10"}, {Stream: caller.Users, Cursor: "60"}, {Stream: caller.Users, Cursor: "110"}}
		if diff := cmp.Diff(want, a.asked(caller.Users)); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		m.wantMirrored()
		wantCursorsBehindData(t, m)
	})
}

// TestKillInTheMiddle closes the store under a fill at each of its batches, as
// a kill would leave it, and has a new Syncer go on with the file.
func TestKillInTheMiddle(t *testing.T) {
	for kill := 1; kill <= 8; kill++ {
		t.Run(fmt.Sprint("at batch ", kill), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := newAccount(230, 230)
				path := filepath.Join(t.TempDir(), "a.db")
				s := openStore(t, path)
				n := 0
				s.before = func(caller.Batch) {
					s.mu.Lock()
					defer s.mu.Unlock()
					if n++; n == kill {
						if err := s.Close(); err != nil {
							t.Error(err)
						}
					}
				}
				first := start(t, a, s, func(o *Options) { o.FirstFillRecords = 1 })
				first.wantState(first.run(""), "failed")
				first.stop()
				saved := s.Streams()

				again := openStore(t, path)
				if diff := cmp.Diff(saved, again.Streams()); diff != "" {
					t.Fatalf("the file's positions are not the last committed (-want +got):\n%s", diff)
				}
				a.forget()
				m := start(t, a, again)
				m.wantState(m.run(""), "done")
				for _, p := range []caller.Position{saved.Users, saved.Tickets} {
					if got := a.asked(p.Stream)[0]; got.Cursor != p.Cursor || !got.StartTime.IsZero() {
						t.Errorf("%s went on from %+v, want the saved cursor %q", p.Stream, got, p.Cursor)
					}
				}
				m.wantMirrored()
			})
		})
	}
}

func TestFailingPageKeepsThePosition(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(300, 20)
		a.setScript(func(r Request) (*Page, error) {
			if r.Stream == caller.Users && r.Cursor == "150" {
				return nil, down
			}
			return nil, nil
		})
		m := start(t, a, nil)
		job := m.run("")
		m.wantState(job, "failed")
		if job.Error != "users: zendesk_unavailable: 503" || m.Status().LastError != job.Error {
			t.Errorf("the job's error is %q, the status' %q", job.Error, m.Status().LastError)
		}
		m.wantCursor(caller.Users, "150") // what was gathered before the fault is kept
		if p := m.position(caller.Users); p.Complete || !p.Watermark.IsZero() {
			t.Errorf("an unfinished fill left %+v", p)
		}
		if p := m.position(caller.Tickets); !p.Complete {
			t.Error("the fault in users stopped the tickets")
		}
		if !m.Status().LastSuccess.IsZero() {
			t.Error("a failed run counts as a success")
		}
		if m.store.pruned != 0 {
			t.Error("a failed run forgot what left")
		}

		a.setScript(nil)
		a.forget()
		m.wantState(m.run(""), "done")
		if got := a.asked(caller.Users)[0].Cursor; got != "150" {
			t.Errorf("the next run went on from %q, want 150", got)
		}
		if st := m.Status(); st.LastError != "" || !st.LastSuccess.Equal(time.Now()) {
			t.Errorf("after a good run: error %q, success %v", st.LastError, st.LastSuccess)
		}
		if m.store.pruned != 1 {
			t.Errorf("pruned %d times after one good run", m.store.pruned)
		}
		m.wantMirrored()
	})
}

func TestWalksThatLeadNowhere(t *testing.T) {
	record := []caller.UserUpdate{newAccount(1, 0).users[0]}
	n := 0
	tests := []struct {
		name string
		page func(r Request) *Page
		want error
		most int // requests until it is found out
	}{
		{"the cursor stays", func(r Request) *Page { return &Page{Users: record, Next: r.Cursor} }, ErrCursorStuck, 1},
		{"two cursors lead to each other", func(r Request) *Page {
			return &Page{Users: record, Next: map[string]string{"10": "a", "a": "b", "b": "a"}[r.Cursor]}
		}, ErrCursorStuck, 3},
		{"a page in the middle has no cursor", func(Request) *Page { return &Page{Users: record} }, ErrNoCursor, 1},
		{"empty pages without an end", func(Request) *Page { n++; return &Page{Next: fmt.Sprint("x", n)} }, ErrEndless, maxEmptyPages + 1},
		{"the same records without an end", func(Request) *Page {
			n++
			return &Page{Users: record, Next: fmt.Sprint("x", n)}
		}, ErrEndless, maxStillPages + 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := newAccount(10, 10)
				m := filled(t, a)
				held := m.position(caller.Users)
				written := len(m.store.written(caller.Users))
				a.setScript(func(r Request) (*Page, error) {
					if r.Stream == caller.Users {
						return tt.page(r), nil
					}
					return nil, nil
				})
				<-time.After(time.Minute)
				job := m.run("")
				m.wantState(job, "failed")
				if want := "users: " + tt.want.Error(); job.Error != want {
					t.Errorf("the error is %q, want %q", job.Error, want)
				}
				// Nothing of the page at fault is kept, and no watermark moves.
				if got := m.position(caller.Users); !got.Watermark.Equal(held.Watermark) {
					t.Errorf("the watermark moved from %v to %v", held.Watermark, got.Watermark)
				}
				if tt.page(Request{Cursor: "10"}).Next == "10" || errors.Is(tt.want, ErrNoCursor) {
					m.wantCursor(caller.Users, "10")
					if n := len(m.store.written(caller.Users)); n != written {
						t.Errorf("%d batches of a walk that never moved", n-written)
					}
				}
				if n := len(a.asked(caller.Users)); n != tt.most {
					t.Errorf("asked %d times, want %d", n, tt.most)
				}
			})
		})
	}
}

func TestEnds(t *testing.T) {
	tests := []struct {
		name string
		next string
		want string
	}{
		{"with the cursor asked by, where nothing is new", "10", "10"},
		{"with a cursor further on, which is not followed", "11", "11"},
		{"without a cursor, which leaves the saved one", "", "10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := newAccount(10, 10)
				m := start(t, a, nil)
				m.wantState(m.run(""), "done")
				a.setScript(func(r Request) (*Page, error) {
					if r.Stream == caller.Tickets {
						return nil, nil
					}
					return &Page{Next: tt.next, End: true, Date: time.Now()}, nil
				})
				a.forget()
				<-time.After(time.Hour)
				m.wantState(m.run(""), "done")
				m.wantCursor(caller.Users, tt.want)
				if n := len(a.asked(caller.Users)); n != 1 {
					t.Errorf("asked %d times", n)
				}
				if got, want := m.position(caller.Users).Watermark, time.Now().Add(-time.Minute); !got.Equal(want) {
					t.Errorf("the watermark is %v, want %v", got, want)
				}
			})
		})
	}
}

func TestWatermark(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newAccount(10, 10)
		a.skew = -90 * time.Second // Zendesk's clock is behind ours
		a.pace[caller.Users] = 10 * time.Second
		m := start(t, a, nil)
		wants := func(what string, want time.Time) {
			t.Helper()
			m.wantState(m.run(""), "done")
			if got := m.position(caller.Users).Watermark; got.Sub(want).Abs() > time.Microsecond {
				t.Errorf("%s: the watermark is %v, want %v", what, got, want)
			}
		}
		began := time.Now()
		wants("by Zendesk's clock, less a minute", began.Add(10*time.Second-90*time.Second-time.Minute))
		a.noDate = true
		sent := time.Now()
		wants("by the sending, where the date cannot be read", sent.Add(-time.Minute))
		a.noDate, a.skew = false, -time.Hour
		wants("never backwards", sent.Add(-time.Minute))
		// One false date, two days ahead, must not have answers pass for fresh
		// until then.
		<-time.After(time.Hour)
		a.skew = 48 * time.Hour
		wants("never ahead of our clock", time.Now().Add(10*time.Second-time.Minute))
		<-time.After(time.Hour)
		a.skew = 0
		wants("and on from there", time.Now().Add(10*time.Second-time.Minute))
	})
}

func TestRefusedCursor(t *testing.T) {
	refuseCursors := func(r Request) (*Page, error) {
		if r.Stream == caller.Users && r.Cursor == "60" {
			return nil, rejected
		}
		return nil, nil
	}
	t.Run("the stream is taken up an hour before its watermark", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			a := newAccount(60, 0)
			m := start(t, a, nil)
			m.wantState(m.run(""), "done")
			mark := m.position(caller.Users).Watermark
			a.addUser(61)
			a.setScript(refuseCursors)
			a.forget()
			<-time.After(24 * time.Hour)
			m.wantState(m.run(""), "done")
			want := []Request{{Stream: caller.Users, Cursor: "60"}, {Stream: caller.Users, StartTime: mark.Add(-time.Hour)}}
			if diff := cmp.Diff(want, a.asked(caller.Users), cmp.Comparer(time.Time.Equal)); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			m.wantCursor(caller.Users, "61")
		})
	})
	t.Run("without a watermark it begins anew", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			a := newAccount(120, 0)
			a.pageSize = 60
			a.setScript(func(r Request) (*Page, error) {
				if r.Stream == caller.Users && r.Cursor == "60" {
					return nil, down
				}
				return nil, nil
			})
			m := start(t, a, nil)
			m.wantState(m.run(""), "failed")
			m.wantCursor(caller.Users, "60")
			a.setScript(func() func(Request) (*Page, error) {
				once := true
				return func(r Request) (*Page, error) {
					if r.Stream == caller.Users && r.Cursor == "60" && once {
						once = false
						return nil, rejected
					}
					return nil, nil
				}
			}())
			a.forget()
			m.wantState(m.run(""), "done")
			if got := a.asked(caller.Users)[1]; got.Cursor != "" || !got.StartTime.IsZero() {
				t.Errorf("went on with %+v, want the beginning", got)
			}
			m.wantMirrored()
		})
	})
	t.Run("refused by time too, the run fails and the position stays", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			a := newAccount(60, 0)
			m := start(t, a, nil)
			m.wantState(m.run(""), "done")
			held := m.position(caller.Users)
			a.setScript(func(Request) (*Page, error) { return nil, rejected })
			a.forget()
			m.wantState(m.run(""), "failed")
			if diff := cmp.Diff(held, m.position(caller.Users)); diff != "" {
				t.Errorf("the position moved (-want +got):\n%s", diff)
			}
			if n := len(a.asked(caller.Users)); n != 2 {
				t.Errorf("asked %d times, want the cursor and the time once each", n)
			}
		})
	})
	t.Run("refused further on, the run fails and the next one sees", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			a := newAccount(10, 0)
			m := start(t, a, nil)
			m.wantState(m.run(""), "done")
			for id := range 100 {
				a.addUser(int64(100 + id))
			}
			a.setScript(refuseCursors)
			a.forget()
			m.wantState(m.run(""), "failed")
			m.wantCursor(caller.Users, "60")
			if n := len(a.asked(caller.Users)); n != 2 {
				t.Errorf("asked %d times", n)
			}
			a.forget()
			m.wantState(m.run(""), "done")
			if got := a.asked(caller.Users); got[0].Cursor != "60" || got[1].StartTime.IsZero() {
				t.Errorf("the next run asked %+v, want the saved cursor, then by time", got)
			}
		})
	})
	t.Run("a watermark ahead of our clock is not believed", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			a := newAccount(60, 0)
			m := start(t, a, nil)
			m.wantState(m.run(""), "done")
			ahead := m.position(caller.Users)
			ahead.Watermark = time.Now().Add(48 * time.Hour)
			if _, err := m.store.Store.Apply(t.Context(), caller.Batch{Position: &ahead}); err != nil {
				t.Fatal(err)
			}
			a.setScript(refuseCursors)
			a.forget()
			m.wantState(m.run(""), "done")
			if got, want := a.asked(caller.Users)[1].StartTime, time.Now().Add(-time.Hour); !got.Equal(want) {
				t.Errorf("taken up from %v, want %v", got, want)
			}
			if got, want := m.position(caller.Users).Watermark, time.Now().Add(-time.Minute); got.Sub(want).Abs() > time.Second {
				t.Errorf("afterwards the watermark is %v, want %v", got, want)
			}
		})
	})
}
