package zendesk

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// names is a name server in memory: for each name its addresses, of both kinds.
type names map[string][]string

// resolver asks it, over what looks like TCP.
func (n names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go n.serve(theirs)
		return ours, nil
	}}
}

func (n names) serve(c net.Conn) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		answer := n.answer(query)
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// answer makes a message of RFC 1035: the header, the question, and a record
// for each address of the kind asked for, whose name points at the question's.
func (n names) answer(query []byte) []byte {
	end, name := 12, ""
	for query[end] != 0 {
		size := int(query[end])
		name += string(query[end+1:end+1+size]) + "."
		end += 1 + size
	}
	question := query[12 : end+5]
	kind := binary.BigEndian.Uint16(query[end+1:])
	var records []byte
	count := uint16(0)
	for _, text := range n[strings.ToLower(name)] {
		a := netip.MustParseAddr(text)
		if (kind == 1) != a.Is4() || (kind == 28) != a.Is6() {
			continue
		}
		count++
		records = append(records, 0xc0, 12)
		records = binary.BigEndian.AppendUint16(records, kind)
		records = append(records, 0, 1, 0, 0, 0, 60) // of the internet, good for a minute
		records = binary.BigEndian.AppendUint16(records, uint16(len(a.AsSlice())))
		records = append(records, a.AsSlice()...)
	}
	header := append([]byte{}, query[:2]...)
	header = append(header, 0x81, 0x80, 0, 1)
	header = binary.BigEndian.AppendUint16(header, count)
	header = append(header, 0, 0, 0, 0)
	return append(append(header, question...), records...)
}

// A host's name is the admin's word; what it resolves to is whoever's who can
// answer for it.
func TestNamesThatLeadWhereNoCredentialsGo(t *testing.T) {
	t.Parallel()
	evil := names{
		"metadata.example.": {"169.254.169.254"}, "six.example.": {"fe80::1"}, "mapped.example.": {"::ffff:169.254.169.254"},
		"nowhere.example.": {"0.0.0.0"}, "all.example.": {"169.254.169.254", "fe80::1", "224.0.0.1"}, "cloud.example.": {"fd00:ec2::254"},
	}
	for name := range evil {
		cfg := basicConfig(nil)
		cfg.BaseURL = "https://" + strings.TrimSuffix(name, ".")
		c := newClient(t, cfg)
		dialer := newDialer(false)
		dialer.Resolver = evil.resolver()
		c.own.Proxy, c.own.DialContext = nil, dialer.DialContext
		_, _, err := c.ShowUser(t.Context(), 7)
		e := asError(t, err)
		if !errors.Is(err, ErrAddress) || e.Class != ClassUnavailable || e.detail != detailAddress {
			t.Errorf("%s: %v", name, err)
		}
		if n := c.Stats().Requests; n != 1 {
			t.Errorf("%s: tried %d times", name, n)
		}
		_, err = c.UpdateTicket(t.Context(), 7, TicketUpdate{Comment: Comment{Body: "x"}})
		if e := asError(t, err); e.UnknownOutcome || e.detail != detailAddress {
			t.Errorf("%s: a write that was never sent: %v", name, err)
		}
	}
}

// Where only some of a name's addresses are refused, the others are dialled:
// and no refused one ever is.
func TestOfANamesAddressesTheRefusedAreLeftOut(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	dialer := newDialer(false)
	dialer.Resolver = names{"mixed.example.": {"169.254.169.254", "127.0.0.1"}}.resolver()
	conn, err := dialer.DialContext(t.Context(), "tcp4", "mixed.example:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if conn.RemoteAddr().String() != l.Addr().String() {
		t.Errorf("connected to %s", conn.RemoteAddr())
	}
}
