package erasure

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/outbox"
	"aniproxy/store"
)

type noMemory struct{}

func (noMemory) Purge() {}

// TestNothingOfAPersonIsLeftInTheFiles is the whole of it over real files: a
// person with a history, erased, and not a word of theirs in any file of the
// folder.
func TestNothingOfAPersonIsLeftInTheFiles(t *testing.T) {
	folder := t.TempDir()
	log := written.Logger(t.Name())
	s, err := store.Open(store.Options{
		Path: filepath.Join(folder, "a.db"), Logger: log, KeepResolved: time.Hour,
		Key: func(string) (string, bool) { return "", false },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	o, err := store.OpenOutbox(store.OutboxOptions{Path: filepath.Join(folder, "a.outbox.db"), Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	write(t, s, o)
	traces := []string{"Wilhelmina", "+493023456789", "wilhelmina@example.com", "Heater", "called at noon"}
	if there := anywhere(t, folder, traces); len(there) != len(traces) {
		t.Fatalf("before the erasure the files have only %q", there)
	}

	e := New(Options{Mirror: s, Memory: noMemory{}, Outbox: o, Logger: log, Clock: time.Now, Wait: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	got, err := e.Erase(t.Context(), 5)
	if err != nil || !got.Complete {
		t.Errorf("the erasure is %+v, error %v", got, err)
	}
	for i, want := range []int64{1, 4, 0, 2} {
		if step := got.Steps[i]; step.Count != want {
			t.Errorf("%s took out %d, want %d", step.Name, step.Count, want)
		}
	}
	if there := anywhere(t, folder, traces); len(there) > 0 {
		t.Errorf("the files still have %q", there)
	}
	if err := s.Verify(); err != nil {
		t.Error(err)
	}
	if was, err := e.Lift(t.Context(), 5); !was || err != nil {
		t.Errorf("lifted %v, error %v", was, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// write gives Wilhelmina a past among others.
func write(t *testing.T, s *store.Store, o *store.Outbox) {
	t.Helper()
	for round := range int64(3) {
		now := time.Now()
		var b caller.Batch
		for id := int64(1); id <= 300; id++ {
			u := caller.User{ID: id, Name: fmt.Sprint("Person ", id, " ", round), Role: "end-user", Active: true, UpdatedAt: round}
			k := caller.Ticket{ID: 1000 + id + 300*round, RequesterID: id, Status: "open", Subject: "A question"}
			if id == 5 {
				u.Name, u.Email, u.Phone = fmt.Sprint("Wilhelmina ", round), "wilhelmina@example.com", "+493023456789"
				k.Subject = "The Heater"
			}
			v := caller.Version{Updated: round, Sent: now.UnixNano()}
			b.Users = append(b.Users, caller.UserUpdate{User: u, Number: u.Phone, Version: v, AsOf: now, Object: []byte(`{"name":"` + u.Name + `"}`)})
			b.Tickets = append(b.Tickets, caller.TicketUpdate{Ticket: k, Version: v, AsOf: now, Object: []byte(`{"subject":"` + k.Subject + `"}`)})
		}
		written.Batch(&b)
		if _, err := s.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range []outbox.Record{
		{Kind: outbox.Comment, TicketID: 1005, Body: "Wilhelmina called at noon"},
		{Kind: outbox.Ticket, UserID: 5, Subject: "Heater", Body: "of Wilhelmina"},
		{Kind: outbox.Comment, TicketID: 1006, Body: "somebody else called"},
	} {
		r.ID, r.Client = fmt.Sprint("record ", i), "flow"
		if _, _, err := o.Accept(t.Context(), outbox.Intake{Record: r}); err != nil {
			t.Fatal(err)
		}
	}
}

// anywhere are those of some texts that some file of a folder has.
func anywhere(t *testing.T, folder string, texts []string) (there []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	for _, text := range texts {
		if bytes.Contains(all, []byte(text)) {
			there = append(there, text)
		}
	}
	return there
}
