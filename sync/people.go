package sync

import (
	"context"
	"fmt"
	"iter"

	"aniproxy/internal/caller"
)

// What follows from a person's change, of which no event of its own tells:
//
//   - Whoever left, deleted or merged into somebody else, may have left
//     tickets to others: those that the mirror has as theirs are fetched.
//   - A number that a person has gained may be one that somebody else has
//     lost: moving it is two changes, and of a phone's there is no event. Those
//     whom the mirror has for it are fetched.
//
// What is fetched so goes through the queue of the webhooks, which bounds it
// and merges repeats.

// holdersMost bounds whom one gained number has fetched: a number of more
// people is a switchboard, which nobody moves.
const holdersMost = 10

// applyPeople applies what was read of people and queues what follows from it.
func (s *Syncer) applyPeople(ctx context.Context, b caller.Batch) error {
	left, err := s.applyReading(ctx, b)
	if err != nil {
		return err
	}
	for _, id := range left {
		open, err := s.store.OpenTickets(id)
		if err != nil {
			return fmt.Errorf("tickets of somebody who left: %w", err)
		}
		for _, ticket := range open[:min(len(open), caller.MaxOpen)] {
			s.notices.follow(caller.Object{Stream: caller.Tickets, ID: ticket}, id, s.clock())
		}
	}
	return nil
}

// applyReading applies what was read of people, queues those who may have lost
// a number by it, and returns who has left.
func (s *Syncer) applyReading(ctx context.Context, b caller.Batch) (left []int64, err error) {
	others, err := s.losers(b.Users)
	if err != nil {
		return nil, fmt.Errorf("holders of a number: %w", err)
	}
	change, err := s.store.Apply(ctx, b)
	if err != nil {
		return nil, err
	}
	s.unsure(change)
	for _, id := range others {
		s.followUser(id)
	}
	for i := range b.Users {
		if !b.Users[i].User.Active {
			left = append(left, b.Users[i].User.ID)
		}
	}
	for _, g := range b.Gone {
		if g.Stream == caller.Users {
			left = append(left, g.ID)
		}
	}
	return left, nil
}

// losersByExport are the losers by a page of an export that shows identities:
// of a profile's phone it tells on both sides. While the mirror is being filled
// every number is news, and says nothing.
func (s *Syncer) losersByExport(b *caller.Batch) ([]int64, error) {
	if !s.store.Streams().Filled() {
		return nil, nil
	}
	var showing []caller.UserUpdate
	for i := range b.Users {
		if b.Users[i].Identities != nil {
			showing = append(showing, b.Users[i])
		}
	}
	others, err := s.losers(showing)
	if err != nil {
		return nil, fmt.Errorf("holders of a number: %w", err)
	}
	return others, nil
}

// losers are people whom the mirror has for a number that somebody else was
// read with and is not known to have: before the reading is applied. Once it
// is, the number is no news, so that two people who do share one do not have
// each other fetched for ever.
func (s *Syncer) losers(users []caller.UserUpdate) ([]int64, error) {
	read := make(map[int64]bool, len(users))
	for i := range users {
		read[users[i].User.ID] = true
	}
	var others []int64
	for i := range users {
		u := &users[i]
		if !u.User.Active {
			continue
		}
		for number := range numbersOf(u) {
			holders, err := s.store.Holders(number)
			if err != nil {
				return nil, err
			}
			others = append(others, unlessHeld(holders, u.User.ID, read)...)
		}
	}
	return others, nil
}

// unlessHeld are the holders who were not read, where a user is none of them.
func unlessHeld(holders []int64, user int64, read map[int64]bool) []int64 {
	var others []int64
	for _, id := range holders {
		switch {
		case id == user:
			return nil
		case !read[id] && len(others) < holdersMost:
			others = append(others, id)
		}
	}
	return others
}

// numbersOf are the numbers that a user was read with, maybe one twice.
func numbersOf(u *caller.UserUpdate) iter.Seq[string] {
	return func(yield func(string) bool) {
		if u.Number != "" && !yield(u.Number) {
			return
		}
		if u.Identities == nil {
			return
		}
		for _, n := range u.Identities.Numbers {
			if !yield(n) {
				return
			}
		}
	}
}
