package store

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// Keys are big-endian, so that bbolt's byte order is the order of numbers.

// idKey is the key of an object: its Zendesk id, which is positive.
func idKey(id int64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 0, 8), uint64(id))
}

func keyID(k []byte) int64 {
	return int64(binary.BigEndian.Uint64(k))
}

// packNumber packs an E.164 number into 8 bytes: 15 digits at most need 50 bits,
// and no number begins with 0, so that the value gives the text back.
func packNumber(e164 string) (uint64, error) {
	if len(e164) < 2 || len(e164) > 16 || e164[0] != '+' || e164[1] == '0' {
		return 0, fmt.Errorf("not an E.164 number of %d bytes", len(e164))
	}
	n, err := strconv.ParseUint(e164[1:], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("not an E.164 number of %d bytes", len(e164))
	}
	return n, nil
}

// phoneKey is number (8) | user id (8): all people of a number stand together.
func phoneKey(number uint64, userID int64) []byte {
	k := binary.BigEndian.AppendUint64(make([]byte, 0, 16), number)
	return binary.BigEndian.AppendUint64(k, uint64(userID))
}

// orderKey is requester (8) | newest first by time (8) | newest first by id (8):
// one prefix scan gives a person's unresolved tickets in their order.
func orderKey(requester, seconds, ticketID int64) []byte {
	k := binary.BigEndian.AppendUint64(make([]byte, 0, 24), uint64(requester))
	k = binary.BigEndian.AppendUint64(k, descending(seconds))
	return binary.BigEndian.AppendUint64(k, descending(ticketID))
}

// descending maps larger values to smaller keys; times before 1970 sort as the
// oldest of all.
func descending(v int64) uint64 { return math.MaxUint64 - uint64(v) }

func orderKeyTicket(k []byte) int64 {
	return int64(math.MaxUint64 - binary.BigEndian.Uint64(k[16:24]))
}

// leftKey is when it left, in seconds (8) | kind (1) | id (8): stubs stand in
// the order in which they may be forgotten.
func leftKey(seconds int64, kind byte, id int64) []byte {
	k := binary.BigEndian.AppendUint64(make([]byte, 0, 17), uint64(seconds))
	k = append(k, kind)
	return binary.BigEndian.AppendUint64(k, uint64(id))
}

func parseLeftKey(k []byte) (seconds int64, kind byte, id int64) {
	return keyID(k), k[8], keyID(k[9:])
}
