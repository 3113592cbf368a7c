package sync

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

const (
	// roundTakes is how long a reading of everybody takes at the least.
	roundTakes = 6 * time.Hour
	// roundLeast and roundMost bound the pause between two of its requests.
	roundLeast = time.Second
	roundMost  = 10 * time.Minute
	// roundRest is how long a fault stops it, and how often it looks whether
	// the mirror has caught up.
	roundRest = time.Minute
)

// roundPause is the pause between two requests of a hundred people each, for a
// round of so many people.
//
// 1,000,000 people are 10,000 requests, one in 2.16 s: 6 h, and 28 of the
// account's requests a minute. From 2,160,000 people up it is one a second and
// a round takes longer, 28 h for ten million. Below 3,600 people the requests
// are ten minutes apart and a round is sooner done: a hundred people are read
// every ten minutes.
func roundPause(people int64, takes time.Duration) time.Duration {
	requests := max(1, (people+identitiesAtOnce-1)/identitiesAtOnce)
	return min(max(takes/time.Duration(requests), roundLeast), roundMost)
}

// goRounds reads everybody again, by ascending id and from the beginning once
// it is at the end, until ctx ends: a change of an identity need not show in
// the export, and where no webhook tells of it, this finds it. It takes what
// is left of the budget, and nothing while the mirror is catching up.
//
// Where it stands is on disk with what it has read: a restart goes on there.
func (s *Syncer) goRounds(ctx context.Context) {
	pause := roundRest
	for sleep(ctx, pause) {
		if !s.caughtUp() {
			pause = roundRest
			continue
		}
		err := s.guard("rolling re-read", func() error { return s.roundStep(ctx) })
		pause = roundPause(s.store.Size().Users, s.roundTakes)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("rolling re-read of identities rests", slog.Any("error", err))
			pause = roundRest
		}
	}
}

// roundStep reads the next hundred.
func (s *Syncer) roundStep(ctx context.Context) error {
	round, err := s.store.Round()
	if err != nil {
		return fmt.Errorf("where the round stands: %w", err)
	}
	ids, err := s.store.IDs(caller.Users, round.After, identitiesAtOnce)
	if err != nil {
		return fmt.Errorf("list users: %w", err)
	}
	now := s.clock()
	if len(ids) == 0 || round.Began.IsZero() {
		ended := len(ids) == 0 && !round.Began.IsZero() && round.After > 0
		round = caller.Round{Began: now}
		s.noteRound(func(st *status.Round) {
			if ended {
				st.Ended = now
			}
		})
		if ids, err = s.store.IDs(caller.Users, 0, identitiesAtOnce); err != nil {
			return fmt.Errorf("list users: %w", err)
		}
	}
	if len(ids) == 0 {
		return nil // a mirror without people
	}
	users, gone, err := s.source.Identities(ctx, ids)
	if err != nil {
		return fmt.Errorf("identities: %w", err)
	}
	gone = s.admit(caller.Users, gone, len(ids))
	round.After = ids[len(ids)-1]
	if err := s.applyPeople(ctx, caller.Batch{Users: users, Gone: gone, Round: &round}); err != nil {
		return fmt.Errorf("identities: %w", err)
	}
	s.noteRound(func(st *status.Round) {
		st.Began = round.Began
		st.Read += uint64(len(ids))
	})
	return nil
}

// caughtUp tells whether there is rest of the budget to be taken.
func (s *Syncer) caughtUp() bool { return s.store.Streams().Filled() && !s.CatchingUp() }

func (s *Syncer) noteRound(change func(*status.Round)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.round)
}
