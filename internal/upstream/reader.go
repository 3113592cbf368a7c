package upstream

import (
	"context"
	"errors"
	"time"

	"aniproxy/internal/caller"
	"aniproxy/internal/zendesk"
)

// ticketPages bounds the reading of one user's tickets while a caller waits:
// 300 tickets, most recently updated first.
const ticketPages = 3

// Reader reads what Zendesk has of single people and tickets, on one share of
// the budget. Its methods may be called from many goroutines; every error is a
// *caller.UpstreamError.
type Reader struct {
	*translator
	client *zendesk.Client
}

// Search finds users of the configured roles whose profile phone ends in the
// digits. The hits are candidates: the caller compares them. They come from an
// index that lags, and count as sent and as true [caller.SearchLag] earlier
// than they were: a hit wins against no record of the same version.
func (r *Reader) Search(ctx context.Context, digits string) (hits []caller.UserUpdate, complete bool, err error) {
	found, complete, sent, err := r.client.SearchUsersByPhone(ctx, digits, r.roles)
	if err != nil {
		return nil, false, fault(ctx, err)
	}
	indexed := sent.Add(-caller.SearchLag)
	hits = make([]caller.UserUpdate, len(found))
	for i := range found {
		hits[i] = r.user(&found[i], indexed, indexed, nil)
	}
	return hits, complete, nil
}

// Tickets reads a user's tickets, the most recently updated first.
func (r *Reader) Tickets(ctx context.Context, userID int64) (caller.Reading, error) {
	read, err := r.client.RequestedTickets(ctx, userID, ticketPages)
	if err != nil {
		return caller.Reading{}, fault(ctx, err)
	}
	tickets := make([]caller.TicketUpdate, len(read.Items))
	for i := range read.Items {
		tickets[i] = r.ticket(&read.Items[i], read.Sent, read.Sent)
	}
	return caller.Reading{Tickets: tickets, Complete: read.Complete, Sent: read.Sent}, nil
}

// Identities reads up to 100 users with all their numbers. Those who are not
// there any more come back as gone; those who are there in a form that cannot
// be read come back not at all.
func (r *Reader) Identities(ctx context.Context, ids []int64) ([]caller.UserUpdate, []caller.Gone, error) {
	shown, err := r.client.ShowManyUsers(ctx, ids, true)
	if err != nil {
		return nil, nil, fault(ctx, err)
	}
	missing := setOf(ids)
	users := make([]caller.UserUpdate, 0, len(ids))
	for i := range shown.Users {
		u := &shown.Users[i]
		delete(missing, u.ID)
		update, err := r.withIdentities(ctx, u, shown.Sent, shown.Identities)
		if err != nil {
			return nil, nil, err
		}
		users = append(users, update)
	}
	gone, err := alone(ctx, caller.Users, ids, missing, func(id int64) (time.Time, error) {
		u, sent, err := r.client.ShowUser(ctx, id)
		if err != nil {
			return sent, err
		}
		update, err := r.withIdentities(ctx, u, sent, nil)
		if err == nil {
			users = append(users, update)
		}
		return sent, err
	})
	if err != nil {
		return nil, nil, err
	}
	return users, gone, nil
}

// ShowTickets reads up to 100 tickets of any status. Those that Zendesk does
// not show any more, deleted ones among them, come back as gone; those that
// are there in a form that cannot be read come back not at all.
func (r *Reader) ShowTickets(ctx context.Context, ids []int64) ([]caller.TicketUpdate, []caller.Gone, error) {
	shown, err := r.client.ShowManyTickets(ctx, ids)
	if err != nil {
		return nil, nil, fault(ctx, err)
	}
	missing := setOf(ids)
	tickets := make([]caller.TicketUpdate, 0, len(ids))
	for i := range shown.Tickets {
		t := &shown.Tickets[i]
		delete(missing, t.ID)
		tickets = append(tickets, r.ticket(t, shown.Sent, shown.Sent))
	}
	gone, err := alone(ctx, caller.Tickets, ids, missing, func(id int64) (time.Time, error) {
		t, sent, err := r.client.ShowTicket(ctx, id)
		if err == nil {
			tickets = append(tickets, r.ticket(t, sent, sent))
		}
		return sent, err
	})
	if err != nil {
		return nil, nil, err
	}
	return tickets, gone, nil
}

func setOf(ids []int64) map[int64]bool {
	set := make(map[int64]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// alone asks for each id that a list left out, one by one: missing from a list
// is no proof, only a "not found" to the object itself is.
func alone(ctx context.Context, stream caller.Stream, ids []int64, missing map[int64]bool, show func(id int64) (sent time.Time, err error)) ([]caller.Gone, error) {
	var gone []caller.Gone
	for _, id := range ids {
		if !missing[id] {
			continue
		}
		delete(missing, id) // an id may be named twice
		sent, err := show(id)
		switch {
		case err == nil, errors.Is(err, zendesk.ErrUnreadable):
		case classOf(err) == zendesk.ClassNotFound:
			gone = append(gone, caller.Gone{Stream: stream, ID: id, Sent: sent.UnixNano()})
		default:
			return nil, fault(ctx, err)
		}
	}
	return gone, nil
}

// withIdentities reads a user's identities where the answer that showed the
// user did not carry them. They stay unknown where they cannot be read.
func (r *Reader) withIdentities(
	ctx context.Context, u *zendesk.User, sent time.Time, sideloaded map[int64][]zendesk.Identity,
) (caller.UserUpdate, error) {
	if _, told := sideloaded[u.ID]; told || !u.Active {
		return r.user(u, sent, sent, sideloaded), nil
	}
	ids, read, err := r.client.UserIdentities(ctx, u.ID)
	switch {
	case errors.Is(err, zendesk.ErrUnreadable), classOf(err) == zendesk.ClassNotFound:
		// In the second case they have gone since they were shown, or are hidden.
		return r.user(u, sent, sent, nil), nil
	case err != nil:
		return caller.UserUpdate{}, fault(ctx, err)
	}
	update := r.user(u, sent, sent, map[int64][]zendesk.Identity{u.ID: ids})
	update.Identities.Sent = read.UnixNano()
	return update, nil
}
