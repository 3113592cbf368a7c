package store

import (
	"bytes"
	"testing"

	"aniproxy/internal/caller"
)

func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	full := &userRecord{
		head: head{State: here, Version: caller.Version{Generated: 1, Updated: -2, Sent: 1 << 60}, Seen: 4},
		User: caller.User{
			ID: 7, OrganizationID: 8, Name: "Ánn", Email: "a@example.com", Phone: "x", Locale: "es-MX", Role: "end-user",
			Tags: []string{"a", ""}, Active: true, Suspended: true, CreatedAt: 9, UpdatedAt: 10,
		},
		Number: numberA, IdentitiesSent: 11, IdentityPhones: []string{"y", "z"}, IdentityNumbers: []string{numberB},
	}
	stub := &userRecord{head: head{State: gone, Left: 12}, User: caller.User{ID: 7}}
	for name, want := range map[string]*userRecord{"a user": full, "a stub": stub} {
		got, err := decodeUser(7, encodeUser(want))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		equal(t, name, got, want)
	}
	k := ticket(3, 4, "open", 5).Ticket
	k.Tags, k.Priority, k.AssigneeID = []string{"vip"}, "urgent", 6
	got, err := decodeTicket(3, encodeTicket(&k))
	if err != nil {
		t.Error(err)
	}
	equal(t, "a ticket", got, k)
	for _, cut := range [][]byte{{}, {9}, encodeUser(full)[:40]} {
		if _, err := decodeUser(7, cut); err == nil {
			t.Errorf("a record of %d bytes that is torn is read", len(cut))
		}
	}
}

// Whatever a damaged file holds, reading it ends in a record or an error, and
// what was read once is read the same again.
func FuzzDecodeRecords(f *testing.F) {
	u := identities(user(1, "Ann", numberA, 0), 0, numberB)
	f.Add(encodeUser(&userRecord{head: head{State: here}, User: u.User, Number: numberA, IdentitiesSent: 1, IdentityNumbers: []string{numberB}}))
	f.Add(encodeTicketRecord(&ticketRecord{head: head{State: left, Left: 1}, Requester: 2}))
	k := ticket(1, 2, "open", 3).Ticket
	f.Add(encodeTicket(&k))
	f.Add([]byte{recordFormat, byte(here), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		if u, err := decodeUser(1, b); err == nil && u != nil {
			again, err := decodeUser(1, encodeUser(u))
			if err != nil || !bytes.Equal(encodeUser(again), encodeUser(u)) {
				t.Errorf("a user is read differently the second time: %v", err)
			}
		}
		if r, err := decodeTicketRecord(b); err == nil && r != nil {
			again, err := decodeTicketRecord(encodeTicketRecord(r))
			if err != nil || *again != *r {
				t.Errorf("a ticket's record is read differently the second time: %v", err)
			}
		}
		if k, err := decodeTicket(1, b); err == nil {
			again, err := decodeTicket(1, encodeTicket(&k))
			if err != nil || !bytes.Equal(encodeTicket(&again), encodeTicket(&k)) {
				t.Errorf("a ticket is read differently the second time: %v", err)
			}
		}
	})
}
