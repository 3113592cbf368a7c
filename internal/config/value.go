package config

import (
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// addAll gives dst the value of n: a scalar, or each item of a list. A lone
// scalar is a list of one. Each value that does not fit goes to complain with
// what is wrong with it.
func (f field) addAll(n *node, dst reflect.Value, complain func(at *node, message string)) {
	items := []*node{n}
	if f.isList() {
		if n.shape == aList {
			items = n.items
		}
		dst.Set(reflect.MakeSlice(f.typ, 0, len(items)))
	}
	for _, one := range items {
		if hint, ok := f.add(one, dst); !ok {
			complain(one, f.complaint(one, hint))
		}
	}
}

// add sets dst to the value of a scalar, or appends it where dst is a list.
func (f field) add(n *node, dst reflect.Value) (hint string, ok bool) {
	switch f.typ.Kind() {
	case reflect.Slice:
		one := reflect.New(f.typ.Elem()).Elem()
		if hint, ok := f.elem().add(n, one); !ok {
			return hint, false
		}
		if one.Kind() == reflect.String && one.Len() == 0 {
			return "it is empty", false
		}
		dst.Set(reflect.Append(dst, one))
		return "", true
	case reflect.Pointer:
		dst.Set(reflect.New(f.typ.Elem()))
		return f.elem().add(n, dst.Elem())
	}
	switch f.typ {
	case durationType:
		return f.duration(n, dst)
	case prefixType:
		return setPrefix(n, dst)
	case digestType:
		d, hint, ok := parseDigest(n.text)
		dst.Set(reflect.ValueOf(d))
		return hint, ok && n.textual()
	}
	switch f.typ.Kind() {
	case reflect.Bool:
		b, err := strconv.ParseBool(n.text)
		dst.SetBool(b)
		if err == nil && n.shape == aText {
			return "without quotes", false
		}
		return "", err == nil && (n.shape == aFlag || n.shape == fromOutside)
	case reflect.Int, reflect.Int64:
		return f.whole(n, dst)
	case reflect.Float64:
		return f.fraction(n, dst)
	default:
		return f.str(n, dst)
	}
}

// textual tells whether a value is, or may be taken for, text in quotes.
func (n *node) textual() bool { return n.shape == aText || n.shape == fromOutside }

func (f field) whole(n *node, dst reflect.Value) (hint string, ok bool) {
	// Answers give ids as text, so an id copied from one is an id; any other
	// number in quotes is a mistake.
	base := 10
	switch n.shape {
	case aWhole:
		base = 0 // hex, octal and underscores, as TOML has them
	case fromOutside:
	case aText:
		if f.typ != idType {
			return "without quotes", false
		}
	default:
		return "", false
	}
	i, err := strconv.ParseInt(n.text, base, 64)
	if err != nil {
		return "", false
	}
	dst.SetInt(i)
	if f.typ == idType {
		return "", i > 0
	}
	lo, _ := strconv.ParseInt(f.tag.Get("min"), 10, 64)
	hi, _ := strconv.ParseInt(f.tag.Get("max"), 10, 64)
	return "", i >= lo && i <= hi
}

func (f field) fraction(n *node, dst reflect.Value) (hint string, ok bool) {
	switch n.shape {
	case aWhole, aFraction, fromOutside:
	case aText:
		return "without quotes", false
	default:
		return "", false
	}
	v, err := strconv.ParseFloat(strings.ReplaceAll(n.text, "_", ""), 64)
	if err != nil {
		return "", false
	}
	dst.SetFloat(v)
	lo, _ := strconv.ParseFloat(f.tag.Get("min"), 64)
	hi, _ := strconv.ParseFloat(f.tag.Get("max"), 64)
	return "", v >= lo && v <= hi // false for nan too
}

func (f field) duration(n *node, dst reflect.Value) (hint string, ok bool) {
	if n.shape == aWhole {
		return `with its unit: "ms", "s", "m" or "h"`, false
	}
	d, err := time.ParseDuration(n.text)
	if err != nil || !n.textual() {
		if days, err := strconv.Atoi(strings.TrimSuffix(n.text, "d")); err == nil && strings.HasSuffix(n.text, "d") && days > 0 && days < 10_000 {
			hint = `days are written in hours: "` + strconv.Itoa(24*days) + `h"`
		}
		return hint, false
	}
	dst.SetInt(int64(d))
	lo, _ := time.ParseDuration(f.tag.Get("min"))
	hi, _ := time.ParseDuration(f.tag.Get("max"))
	return "", d >= lo && d <= hi
}

func (f field) str(n *node, dst reflect.Value) (hint string, ok bool) {
	if !n.textual() {
		return "", false
	}
	text := n.text
	switch {
	case f.typ == secretType:
		// A blank or a line end within is a slip of copying, and would come
		// back as nothing more telling than a 401.
		if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
			return "", false
		}
	case text == "" && f.tag.Get("default") == "" && f.tag.Get("oneof") == "":
		// As if not given.
	case f.tag.Get("oneof") != "":
		if words := f.words(); !slices.Contains(words, text) {
			return didYouMean(text, words), false
		}
	case f.tag.Get("format") != "":
		var tidy string
		if tidy, hint, ok = readFormat(f.tag.Get("format"), text); !ok {
			return hint, false
		}
		text = tidy
	case f.tag.Get("maxlen") != "":
		if most, _ := strconv.Atoi(f.tag.Get("maxlen")); utf8.RuneCountInString(text) > most {
			return "it has " + strconv.Itoa(utf8.RuneCountInString(text)), false
		}
	case text == "":
		return "it is empty", false
	}
	dst.SetString(text)
	return "", true
}

// setPrefix reads a network, or an address as the network of it alone.
func setPrefix(n *node, dst reflect.Value) (hint string, ok bool) {
	if !n.textual() {
		return "", false
	}
	if a, err := netip.ParseAddr(n.text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		dst.Set(reflect.ValueOf(netip.PrefixFrom(a, a.BitLen())))
		return "", true
	}
	p, err := netip.ParsePrefix(n.text)
	if err != nil {
		return "", false
	}
	if p.Addr().Is4In6() {
		return "write the IPv4 network itself", false
	}
	if whole := p.Masked(); whole != p {
		return "the network is " + whole.String(), false
	}
	dst.Set(reflect.ValueOf(p))
	return "", true
}
