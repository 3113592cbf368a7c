package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aniproxy/internal/caller"
)

func TestAskedAgainAnErasureLeavesTheMarkAsItIs(t *testing.T) {
	s, o := open(t), openOutbox(t)
	apply(t, s, couple())
	accept(t, o, comment("theirs", 10))
	marks := func() [4]uint64 {
		t.Helper()
		mirror, err := s.over.mark()
		if err != nil {
			t.Fatal(err)
		}
		records, err := o.over.mark()
		if err != nil {
			t.Fatal(err)
		}
		return [4]uint64{mirror, s.Freed(), records, o.Freed()}
	}
	equal(t, "before", marks(), [4]uint64{})
	eraseFrom(t, o, 1, erase(t, s, 1).Tickets...)
	equal(t, "erased", marks(), [4]uint64{1, 1, 1, 1})
	eraseFrom(t, o, 1, erase(t, s, 1).Tickets...)
	equal(t, "asked again", marks(), [4]uint64{1, 1, 1, 1})
	erase(t, s, 99)
	equal(t, "somebody whom the mirror does not hold any more", marks(), [4]uint64{2, 2, 1, 1})
	lift(t, s, 1)
	apply(t, s, caller.Batch{Users: []caller.UserUpdate{user(1, "Ann", numberA, 500)}})
	erase(t, s, 1)
	equal(t, "back, and erased again", marks(), [4]uint64{3, 3, 1, 1})
}

func TestAnOverwritingGivesUpWaitingBeforeWhoAsksDoes(t *testing.T) {
	s := open(t)
	apply(t, s, couple())
	w := &stalled{began: make(chan struct{}), goOn: make(chan struct{})}
	var work sync.WaitGroup
	work.Go(func() {
		if _, err := s.Backup(t.Context(), w); err != nil {
			t.Error(err)
		}
	})
	<-w.began
	erase(t, s, 1)
	s.over.patience = 50 * time.Millisecond
	_, err := s.Overwrite(t.Context())
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fmt.Sprint(err), "backup") {
		t.Errorf("error %v; want one that names the backup", err)
	}
	var second bytes.Buffer
	if n, err := s.Backup(t.Context(), &second); n != 0 || second.Len() > 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("another backup has %d bytes, error %v; want none", second.Len(), err)
	}
	s.over.patience = patience
	close(w.goOn)
	work.Wait()
	overwrite(t, s)
}

func TestABackupAfterAnErasureDoesNotHoldThePerson(t *testing.T) {
	s := open(t)
	traces := crowd(t, s, true)
	erase(t, s, 5000)
	b := backup(t, s)
	for _, trace := range traces {
		if bytes.Contains(b, []byte(trace)) {
			t.Errorf("the backup has %q", trace)
		}
	}
	equal(t, "whether there is still something to overwrite", s.OverwriteDue(), false)
	if users := clone(t, filepath.Join(t.TempDir(), "backup.db"), b); users != 999 {
		t.Errorf("the backup holds %d users", users)
	}
}
