package zendesktest

import (
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// plan is a country's way of numbering, as far as the account needs it. Every
// number made from it is valid by libphonenumber's rules (a test asks it); the
// North American ones stand in exchange 555 as long as there are enough.
type plan struct {
	code   string // country calling code
	trunk  string // the 0 that some write in brackets
	locale uint8
	zone   uint8
	weight int // of a hundred people, how many live there
	blocks []block
}

// block is a run of numbers of one length: any head, then tail free digits.
type block struct {
	heads  []string
	tail   int
	groups []int // how a tidy person parts the digits
}

func (b *block) capacity() uint64 {
	n := uint64(len(b.heads))
	for range b.tail {
		n *= 10
	}
	return n
}

// number is one telephone number of a plan.
type number struct {
	plan   *plan
	digits string // national, with the leading 0 where it belongs to the number
	groups []int
}

func (n number) e164() string { return "+" + n.plan.code + n.digits }

// value is the number as digits of E.164, which fit 64 bits.
func (n number) value() uint64 {
	v, _ := strconv.ParseUint(n.plan.code+n.digits, 10, 64) // digits only, at most 15
	return v
}

func (n number) parts() []string {
	parts := make([]string, 0, len(n.groups))
	rest := n.digits
	for _, g := range n.groups {
		g = min(g, len(rest))
		parts = append(parts, rest[:g])
		rest = rest[g:]
	}
	if rest != "" {
		parts = append(parts, rest)
	}
	return parts
}

// numberStock hands out the numbers of all plans, each once, in an order that
// looks random and follows from the seed.
type numberStock struct {
	plans []plan
	given []uint64 // of each plan
	shift uint64
}

// stride is a prime: stepping by it through any block visits every number of
// the block once, since no block's size is a multiple of it.
const stride = 15_485_863

func newNumberStock(seed uint64) *numberStock {
	p := plans()
	return &numberStock{plans: p, given: make([]uint64, len(p)), shift: (seed + 1) * 0x9E3779B97F4A7C15 >> 24} // spread over the blocks by the golden ratio
}

// next gives a number of the plan that nobody has had yet.
func (s *numberStock) next(p int) number {
	pl := &s.plans[p]
	k := s.given[p]
	s.given[p]++
	for i := range pl.blocks {
		b := &pl.blocks[i]
		size := b.capacity()
		if k >= size && i < len(pl.blocks)-1 {
			k -= size
			continue
		}
		at := (k*stride + s.shift) % size
		tail := strconv.FormatUint(at/uint64(len(b.heads)), 10)
		digits := b.heads[at%uint64(len(b.heads))] + strings.Repeat("0", b.tail-len(tail)) + tail
		return number{plan: pl, digits: digits, groups: b.groups}
	}
	return number{plan: pl}
}

// spell writes a number the way people do. Everything it writes can be read
// back, given the United States as the default region and 00 as a way to dial
// abroad.
func (n number) spell(rng *rand.Rand) string {
	parts := n.parts()
	abroad := "+" + n.plan.code
	if n.plan.code == "1" {
		switch rng.IntN(12) {
		case 0, 1, 2:
			return n.e164()
		case 3, 4:
			return "(" + parts[0] + ") " + parts[1] + "-" + parts[2]
		case 5:
			return strings.Join(parts, "-")
		case 6:
			return strings.Join(parts, ".")
		case 7:
			return n.digits
		case 8:
			return abroad + " " + strings.Join(parts, ".") + " x" + strconv.Itoa(10+rng.IntN(90))
		case 9:
			return "1-" + strings.Join(parts, "-")
		case 10:
			return abroad + " (" + parts[0] + ") " + parts[1] + "\u2011" + parts[2]
		}
		return abroad + "\u00a0" + strings.Join(parts, "\u00a0")
	}
	switch rng.IntN(10) {
	case 0, 1, 2:
		return n.e164()
	case 3, 4:
		return abroad + " " + strings.Join(parts, " ")
	case 5:
		return abroad + "-" + strings.Join(parts, "-")
	case 6:
		return abroad + "." + strings.Join(parts, ".")
	case 7:
		return "00" + n.plan.code + " " + strings.Join(parts, " ")
	case 8:
		return abroad + " " + strings.Join(parts, "\u2010")
	}
	if n.plan.trunk == "" {
		return abroad + "\u00a0" + strings.Join(parts, "\u00a0")
	}
	return abroad + " (" + n.plan.trunk + ")" + strings.Join(parts, " ")
}

// readNumber reads what a person or a test wrote as a phone: its E.164 digits,
// or 0. It is the account's own opinion and feeds the lists under /_sim/ and
// shared_phone_number; it is not the truth that a client is measured by.
func readNumber(phone string) uint64 {
	if rest, found := strings.CutPrefix(phone, "00"); found {
		phone = "+" + rest
	}
	n, err := phonenumbers.Parse(phone, "US")
	if err != nil || !phonenumbers.IsValidNumber(n) {
		return 0
	}
	v, _ := strconv.ParseUint(phonenumbers.Format(n, phonenumbers.E164)[1:], 10, 64)
	return v
}

func e164Of(number uint64) string {
	if number == 0 {
		return ""
	}
	return "+" + numberDigits(number)
}

// numberDigits are the digits of E.164, "" where there is no number.
func numberDigits(number uint64) string {
	if number == 0 {
		return ""
	}
	return strconv.FormatUint(number, 10)
}

func plans() []plan {
	areas := strings.Fields(`201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 224 225 229 234 239
		240 248 251 253 254 256 260 262 267 269 270 276 281 301 302 303 304 305 307 308 309 310 312 313 314 315 316 317
		318 319 320 321 323 325 330 331 334 336 337 339 347 351 352 360 361 386 401 402 404 405 406 407 408 409 410 412
		413 414 415 417 419 423 425 432 434 435 440 443 469 478 479 480 484 501 502 503 504 505 507 508 509 510 512 513`)
	var american []block
	for exchange := 555; exchange < 600; exchange++ {
		b := block{tail: 4, groups: []int{3, 3, 4}}
		for _, area := range areas {
			b.heads = append(b.heads, area+strconv.Itoa(exchange))
		}
		american = append(american, b)
	}
	one := func(head string, tail int, groups ...int) block {
		return block{heads: []string{head}, tail: tail, groups: groups}
	}
	return []plan{
		{code: "1", locale: 1, zone: 0, weight: 50, blocks: american},
		{code: "44", trunk: "0", locale: 2, zone: 2, weight: 12, blocks: []block{one("207946", 4, 2, 4, 4), one("740", 7, 4, 6)}},
		{code: "49", trunk: "0", locale: 3, zone: 3, weight: 10, blocks: []block{one("3023125", 3, 2, 8), one("1512", 7, 4, 7), one("30", 8, 2, 8)}},
		{code: "52", locale: 4, zone: 4, weight: 8, blocks: []block{one("551", 7, 2, 4, 4), one("331", 7, 2, 4, 4)}},
		{code: "34", locale: 5, zone: 5, weight: 6, blocks: []block{one("911", 6, 3, 3, 3), one("61", 7, 3, 3, 3)}},
		{code: "33", trunk: "0", locale: 6, zone: 6, weight: 6, blocks: []block{one("14", 7, 1, 2, 2, 2, 2), one("61", 7, 1, 2, 2, 2, 2)}},
		{code: "39", locale: 7, zone: 7, weight: 4, blocks: []block{one("025", 7, 2, 8), one("347", 7, 3, 7)}},
		{code: "55", locale: 8, zone: 8, weight: 4, blocks: []block{one("2138", 6, 2, 4, 4), one("1198", 7, 2, 5, 4)}},
	}
}
