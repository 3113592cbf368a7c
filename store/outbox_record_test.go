package store

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aniproxy/internal/outbox"
)

// fullRecord has something in every field, so that one that the file leaves out
// is seen.
func fullRecord(t testing.TB) *heldRecord {
	t.Helper()
	h := &heldRecord{sameUntil: at(9).UnixNano()}
	v := reflect.ValueOf(&h.Record).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Interface().(type) {
		case string:
			f.SetString("some " + v.Type().Field(i).Name + " <b>\"ñ\n😀")
		case outbox.Kind:
			f.SetString(string(outbox.Comment))
		case outbox.State:
			f.SetString(string(outbox.Failed))
		case bool:
			f.SetBool(true)
		case int, int64:
			f.SetInt(int64(i) + 1<<30)
		case uint64:
			f.SetUint(1 << 60)
		case time.Time:
			f.Set(reflect.ValueOf(at(i).Add(123456789)))
		default:
			t.Fatalf("a field of a kind unknown here: %s", v.Type().Field(i).Name)
		}
	}
	return h
}

func encoded(t testing.TB, h *heldRecord) []byte {
	t.Helper()
	b, err := encodeOutboxRecord(h)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var heldFields = cmp.AllowUnexported(heldRecord{})

func TestOutboxRecordsAreReadAsTheyWereWritten(t *testing.T) {
	for name, want := range map[string]*heldRecord{
		"everything": fullRecord(t),
		"the least":  {Record: outbox.Record{ID: "a", Seq: 1, Kind: outbox.Ticket, State: outbox.Queued}},
	} {
		got, err := decodeOutboxRecord(want.Seq, encoded(t, want))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got, heldFields); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestUnreadableOutboxRecordsAreRefused(t *testing.T) {
	const private = "+15135557611"
	for name, tc := range map[string]struct{ b, want string }{
		"nothing":         {"", "is empty"},
		"a later format":  {"\x02{}", "has format 2"},
		"a torn one":      {"\x01" + `{"id":"a","body":"` + private, "is damaged"},
		"two of them":     {"\x01{}{}", "is damaged"},
		"text for number": {"\x01" + `{"id":"a","attempts":"` + private + `"}`, "is damaged"},
		"no id":           {"\x01" + `{"kind":"comment","state":"queued"}`, "lacks its id, kind or state"},
		"no state":        {"\x01" + `{"id":"a","kind":"comment"}`, "lacks its id, kind or state"},
		"an unknown kind": {"\x01" + `{"id":"a","kind":"` + private + `","state":"queued"}`, "lacks its id, kind or state"},
	} {
		_, err := decodeOutboxRecord(7, []byte(tc.b))
		want := fmt.Sprintf("%v: record 7 of the outbox %s", errRecord, tc.want)
		if err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", name, err, want)
		}
		if err != nil && strings.Contains(err.Error(), private) {
			t.Errorf("%s: the error tells of what is in the record: %v", name, err)
		}
	}
}

// Whatever a damaged file holds, reading it ends in a record or an error, and
// what was read once is read the same again.
func FuzzOutboxRecord(f *testing.F) {
	f.Add(encoded(f, fullRecord(f)))
	f.Add(encoded(f, &heldRecord{Record: outbox.Record{ID: "a", Kind: outbox.Ticket, State: outbox.Queued}}))
	f.Add([]byte("\x01" + `{"id":"\ud800","kind":"comment","state":"failed","accepted":-9223372036854775808,"ACCEPTED":1}`))
	f.Add([]byte{outboxFormat + 1, '{', '}'})
	f.Add([]byte{outboxFormat})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeOutboxRecord(1, b)
		if err != nil {
			if h != nil {
				t.Error("a record beside an error")
			}
			return
		}
		written := encoded(t, h)
		again, err := decodeOutboxRecord(1, written)
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if diff := cmp.Diff(h, again, heldFields); diff != "" || !bytes.Equal(written, encoded(t, again)) {
			t.Errorf("it is read differently the second time:\n%s", diff)
		}
	})
}
