// Package webexflow writes the flow that a Webex Contact Center runs with
// aniproxy: one lookup, a greeting, a menu, a queue, and a comment when the
// call is over.
//
// The flow is built once, in memory ([Build]), and written twice: as FlowV2
// ([Flow.V2]), which Webex imports through its API, and in the shape of the
// Flow Designer's own export ([Flow.UI]), which is uploaded by hand. Nodes,
// edges and variables are therefore the same in both; what differs is how a
// format names a node's exits and which properties it wants beside them.
//
// Neither format could be tried against a tenant. What is known of them comes
// from flows that others have published; [Check] holds the flow to all of it
// that can be held without one, and both files say at their top that nobody has
// tried them.
package webexflow

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// NotTried is what both files and both guides say before anything else.
const NotTried = "NOT TRIED AGAINST A TENANT"

// DefaultConnector is the name under which the guide has the HTTP connector
// made.
const DefaultConnector = "aniproxy"

// Auto as Options.Lang leaves the language to the caller's own locale in
// Zendesk.
const Auto = "auto"

// defaultLang is the language of the first sentence where none is chosen.
const defaultLang = "en-US"

// Options say for whom the flow is.
type Options struct {
	// URL is where Webex reaches aniproxy. It must be https, except for
	// loopback or where InsecureHTTP allows it.
	URL          string
	InsecureHTTP bool
	// Queue is the id of the queue at Webex that takes the call where no rule
	// names another, and where something fails.
	Queue string
	// Connector is the id or the name of the HTTP connector; "" is
	// DefaultConnector.
	Connector string
	// Lang is the language of what is said before a lookup has answered, and
	// where none does. "" is en-US. Auto asks for no language at all, so that
	// the caller's own decides; otherwise the flow asks for Global_Language.
	Lang string
	// Menu is the menu's wording in the language of Lang, "" for ours.
	Menu string
}

// OptionError names an option that cannot be used, as its flag is spelt.
type OptionError struct {
	Flag, Why string
}

func (e *OptionError) Error() string { return "--" + e.Flag + " " + e.Why }

// settings are options that have been checked.
type settings struct {
	origin    string // scheme and host: the connector's part of an address
	prefix    string // of a path, "" at the root
	queue     string
	connector string
	lang      string // the full tag
	asks      bool   // the lookup names a language
	texts     map[string]texts
}

var (
	uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	tag  = regexp.MustCompile(`^([a-z]{2})-[A-Z]{2}$`)
)

// settle checks the options and fills in what was left out.
func (o *Options) settle() (*settings, error) {
	s := &settings{queue: strings.ToLower(o.Queue), connector: o.Connector, lang: o.Lang, asks: o.Lang != Auto, texts: prompts()}
	if err := s.address(o.URL, o.InsecureHTTP); err != nil {
		return nil, err
	}
	if !uuid.MatchString(o.Queue) {
		return nil, &OptionError{"queue", "must be the id of a queue, such as 123e4567-e89b-12d3-a456-426614174000: Control Hub shows it on the queue's page"}
	}
	if s.connector == "" {
		s.connector = DefaultConnector
	}
	if strings.ContainsFunc(s.connector, unprintable) || len(s.connector) > 128 {
		return nil, &OptionError{"connector", "must be the name or the id of an HTTP connector in one line"}
	}
	if s.lang == "" || s.lang == Auto {
		s.lang = defaultLang
	}
	m := tag.FindStringSubmatch(s.lang)
	if m == nil || s.texts[m[1]].menu == "" {
		return nil, &OptionError{"lang", "must be " + Auto + " or a language with its region, such as en-US, of these: " + strings.Join(spoken(), ", ")}
	}
	if o.Menu != "" {
		if why := unspeakable(o.Menu); why != "" {
			return nil, &OptionError{"menu", why}
		}
		t := s.texts[m[1]]
		t.menu = o.Menu
		s.texts[m[1]] = t
	}
	return s, nil
}

// address takes an address apart into what the connector has and what a node
// has.
func (s *settings) address(address string, insecure bool) error {
	wrong := func(why string) error { return &OptionError{"url", why} }
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return wrong("must be an address such as https://aniproxy.example.com")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		return wrong("must hold neither a user nor a query nor a fragment: the connector has the secret")
	}
	if strings.ContainsAny(u.Path, "{}\"\\") || strings.ContainsFunc(u.Path, unprintable) {
		return wrong("must hold no braces, quotes or backslashes: a flow would read them as its own")
	}
	if u.Scheme == "http" && !insecure && !loopback(u.Hostname()) {
		return wrong("must be https: the secret and the caller's number would cross the network in the clear (--insecure-http allows it all the same)")
	}
	s.origin, s.prefix = u.Scheme+"://"+u.Host, strings.TrimRight(u.EscapedPath(), "/")
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func unprintable(r rune) bool { return r < ' ' || r == 0x7f }

// unspeakable says why a prompt cannot be in a flow, or "".
func unspeakable(text string) string {
	switch {
	case len([]rune(text)) > maxInitial:
		return fmt.Sprintf("must be %d characters at the most: a flow's variable takes no more", maxInitial)
	case strings.ContainsFunc(text, unprintable):
		return "must be one line"
	case strings.ContainsAny(text, `"{}<>\`):
		return "must hold no quotes, braces, markup or backslashes: the flow would read them as its own"
	}
	return ""
}

// spoken are the languages that the flow's own prompts are in.
func spoken() []string {
	var bases []string
	for base := range prompts() {
		bases = append(bases, base)
	}
	slices.Sort(bases)
	return bases
}
