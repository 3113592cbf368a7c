package sync

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"aniproxy/internal/caller"
)

const (
	// identitiesAtOnce is how many users Zendesk shows in one answer.
	identitiesAtOnce = 100
	// identitiesRest is how long a fault stops the reading of identities.
	identitiesRest = time.Minute
)

// payDebts reads the identities that are due, until ctx ends: at the start,
// after every batch that brought users, and after each run. It goes on beside
// the runs, so that a long backlog starves no increment and a long fill no
// identities; the budget below has them wait for each other.
//
// The list of debts is on disk, and a debt leaves it with the reading that
// settles it: nothing is lost by a kill. A fault ends the reading for a minute
// and fails no run.
func (s *Syncer) payDebts(ctx context.Context) {
	for {
		if err := s.guard("identities", func() error { return s.payAll(ctx) }); err != nil && ctx.Err() == nil {
			s.log.Warn("identities not read", slog.Any("error", err))
			rest := time.NewTimer(identitiesRest)
			select {
			case <-rest.C:
			case <-ctx.Done():
				rest.Stop()
			}
		}
		select {
		case <-s.debts:
		case <-ctx.Done():
			return
		}
	}
}

// payAll goes through the debts once, by ascending id. Those that came in
// behind it, and those that were not settled, for example because the user
// changed meanwhile, are met at the next waking: trying them again at once
// could go on for ever.
func (s *Syncer) payAll(ctx context.Context) error {
	defer func() {
		s.mu.Lock()
		s.paying = nil
		s.mu.Unlock()
	}()
	after := int64(0)
	for {
		ids, err := s.store.Due(after, identitiesAtOnce)
		if err != nil {
			return fmt.Errorf("list the identities due: %w", err)
		}
		if len(ids) == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		s.mu.Lock()
		if s.paying == nil {
			s.paying = &track{stream: streamIdentities, started: s.clock()}
		}
		s.mu.Unlock()
		users, gone, err := s.source.Identities(ctx, ids)
		if err != nil {
			return fmt.Errorf("identities: %w", err)
		}
		gone = s.admit(caller.Users, gone, len(ids))
		if err := s.applyDebts(ctx, caller.Batch{Users: users, Gone: gone}); err != nil {
			return fmt.Errorf("identities: %w", err)
		}
		s.mu.Lock()
		s.paying.pages++
		s.paying.records += int64(len(ids))
		s.mu.Unlock()
		after = ids[len(ids)-1]
	}
}

// applyDebts applies what was read, and once the mirror has been filled has
// those read who may have lost what others have gained. Before that every
// number is news.
func (s *Syncer) applyDebts(ctx context.Context, b caller.Batch) error {
	if s.store.Streams().Filled() {
		return s.applyPeople(ctx, b)
	}
	change, err := s.store.Apply(ctx, b)
	if err == nil {
		s.unsure(change)
	}
	return err
}
