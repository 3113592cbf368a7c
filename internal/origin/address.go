package origin

import "net/netip"

// Where a machine in a cloud finds its own credentials, beside 169.254.169.254,
// which is link-local: Amazon's and Google's by IPv6, Alibaba's.
var metadata = []netip.Addr{
	netip.AddrFrom16([16]byte{0xfd, 0x00, 0x0e, 0xc2, 14: 0x02, 15: 0x54}),
	netip.AddrFrom16([16]byte{0xfd, 0x20, 0x00, 0xce, 14: 0x02, 15: 0x54}),
	netip.AddrFrom4([4]byte{100, 100, 100, 200}),
	netip.AddrFrom4([4]byte{168, 63, 129, 16}),
}

// Refused tells whether an address is one that no Zendesk and no gateway to it
// has: link-local, multicast, unspecified, reserved, or where clouds keep their
// machines' credentials. An IPv4 address counts in each of its IPv6 dresses.
// Private addresses are none of these: a gateway may well have one.
func Refused(a netip.Addr) bool {
	a = undressed(a.WithZone(""))
	if !a.IsValid() || a.IsUnspecified() || a.IsLinkLocalUnicast() || a.IsMulticast() {
		return true
	}
	for _, m := range metadata {
		if a == m {
			return true
		}
	}
	if !a.Is4() {
		return false
	}
	first := a.As4()[0]
	return first == 0 || first >= 240 // "this network", and what is reserved up to 255.255.255.255
}

// undressed is the IPv4 address in an IPv6 one: mapped (::ffff:0:0/96), through
// a NAT64 gateway (64:ff9b::/96, RFC 6052), by 6to4 (2002::/16), or in the old
// form of ::/96. Any other is given back as it is, ::1 and :: too.
func undressed(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if !a.Is6() || a.IsLoopback() || a.IsUnspecified() {
		return a
	}
	b := a.As16()
	last := netip.AddrFrom4([4]byte(b[12:]))
	switch {
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6]))
	case [12]byte(b[:12]) == [12]byte{}, [12]byte(b[:12]) == [12]byte{0x00, 0x64, 0xff, 0x9b}:
		return last
	default:
		return a
	}
}
