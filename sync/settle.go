package sync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"aniproxy/internal/caller"
)

// commit has a batch of a walk written, and settles what it leaves in doubt.
//
// The store moves no position with a batch in doubt; it moves here, once that
// has been asked for. So a kill in between, and a fault that has nothing to do
// with what was asked for, has the records come again: the walk then ends with
// that fault, and the next one begins with them. A batch without a position
// would not come again, so its doubts are left to the queue of the webhooks.
func (s *Syncer) commit(ctx context.Context, t *track, b caller.Batch) error {
	others, err := s.losersByExport(&b)
	if err != nil {
		return err
	}
	change, err := s.apply(ctx, t, b)
	if err != nil {
		return err
	}
	for _, id := range others {
		s.followUser(id)
	}
	if len(change.Unsure) == 0 {
		return nil
	}
	held := b.Position != nil || b.Sweep != nil
	err = s.settle(ctx, change.Unsure)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil && held:
		return fmt.Errorf("objects in doubt: %w", err)
	case err != nil:
		s.leaveToQueue(change.Unsure, err)
		return nil
	case !held:
		return nil
	}
	_, err = s.store.Apply(ctx, caller.Batch{Position: b.Position, Sweep: b.Sweep})
	return err
}

// settle asks for objects by id that a page of an export brought although
// Zendesk has said "not found" of them: as what webhooks tell of is, for the
// stream waits for it. Where the fault is in what was asked for, the objects
// are asked for one by one, and those at fault are left to the queue of the
// webhooks: one that Zendesk cannot show must not hold up a stream.
func (s *Syncer) settle(ctx context.Context, doubt []caller.Object) error {
	ids := map[caller.Stream][]int64{}
	for _, o := range doubt {
		ids[o.Stream] = append(ids[o.Stream], o.ID)
	}
	for stream, all := range ids {
		for part := range slices.Chunk(all, identitiesAtOnce) {
			if err := s.settlePart(ctx, stream, part); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Syncer) settlePart(ctx context.Context, stream caller.Stream, ids []int64) error {
	gone, err := s.readByID(ctx, s.prompt, stream, ids, true)
	if err == nil {
		return s.applyPeople(ctx, caller.Batch{Gone: gone, Urgent: true})
	}
	if isWeather(err) || !errors.As(err, new(*caller.UpstreamError)) || ctx.Err() != nil {
		return err
	}
	if len(ids) == 1 {
		s.leaveToQueue([]caller.Object{{Stream: stream, ID: ids[0]}}, err)
		return nil
	}
	for _, id := range ids {
		if err := s.settlePart(ctx, stream, []int64{id}); err != nil {
			return err
		}
	}
	return nil
}

// leaveToQueue has objects in doubt fetched as soon as may be.
func (s *Syncer) leaveToQueue(doubt []caller.Object, err error) {
	s.log.Warn("objects in doubt are asked for later", slog.Int("objects", len(doubt)), slog.Any("error", err))
	s.notices.insist(doubt, s.clock())
}

// readByID reads up to a hundred objects and applies what is there; who or what
// is not comes back.
func (s *Syncer) readByID(
	ctx context.Context, from Reader, stream caller.Stream, ids []int64, urgent bool,
) (gone []caller.Gone, err error) {
	b := caller.Batch{Urgent: urgent}
	if stream == caller.Users {
		b.Users, gone, err = from.Identities(ctx, ids)
		if err == nil {
			err = s.applyPeople(ctx, b)
		}
	} else {
		b.Tickets, gone, err = from.ShowTickets(ctx, ids)
		if err == nil {
			_, err = s.store.Apply(ctx, b)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s by id: %w", stream, err)
	}
	return gone, nil
}
