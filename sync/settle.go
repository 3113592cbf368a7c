package sync

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"aniproxy/internal/caller"
)

// commit has a batch of a walk written, and settles what it leaves in doubt.
//
// While that is asked for, what is saved is where the walk stood before, so
// that after a kill the records in doubt come again. before has the positions
// for that; where it has none, there are none to be put back.
func (s *Syncer) commit(ctx context.Context, t *track, b, before caller.Batch) error {
	change, err := s.apply(ctx, t, b)
	if err != nil || len(change.Unsure) == 0 {
		return err
	}
	saved := before.Position != nil || before.Sweep != nil
	if saved {
		if b.Position != nil {
			back := *before.Position
			back.Complete = b.Position.Complete // a mirror that has once been filled stays so
			before.Position = &back
		}
		if _, err := s.store.Apply(ctx, before); err != nil {
			return err
		}
	}
	if err := s.settle(ctx, change); err != nil || !saved {
		return err
	}
	_, err = s.store.Apply(ctx, caller.Batch{Position: b.Position, Sweep: b.Sweep})
	return err
}

// settle asks for objects by id that a page of an export brought although
// Zendesk has said "not found" of them. A fault fails no run: they are then
// left to the queue of the webhooks. The only error is that of a ctx at its end.
func (s *Syncer) settle(ctx context.Context, doubt caller.Change) error {
	ids := map[caller.Stream][]int64{}
	for _, o := range doubt.Unsure {
		ids[o.Stream] = append(ids[o.Stream], o.ID)
	}
	for stream, all := range ids {
		for part := range slices.Chunk(all, identitiesAtOnce) {
			gone, err := s.readByID(ctx, stream, part, true)
			if err == nil {
				_, err = s.store.Apply(ctx, caller.Batch{Gone: gone, Urgent: true})
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				s.log.Warn("objects in doubt are asked for later", slog.String("stream", string(stream)),
					slog.Int("objects", len(doubt.Unsure)), slog.Any("error", err))
				s.unsure(doubt)
				return nil
			}
		}
	}
	return nil
}

// readByID reads up to a hundred objects and applies what is there; who or what
// is not comes back.
func (s *Syncer) readByID(
	ctx context.Context, stream caller.Stream, ids []int64, urgent bool,
) (gone []caller.Gone, err error) {
	b := caller.Batch{Urgent: urgent}
	if stream == caller.Users {
		b.Users, gone, err = s.source.Identities(ctx, ids)
		if err == nil {
			err = s.applyPeople(ctx, b)
		}
	} else {
		b.Tickets, gone, err = s.source.ShowTickets(ctx, ids)
		if err == nil {
			_, err = s.store.Apply(ctx, b)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s by id: %w", stream, err)
	}
	return gone, nil
}
