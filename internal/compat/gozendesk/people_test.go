package gozendesk

import (
	"testing"

	"aniproxy/internal/zendesk/zendesktest"
)

// people are those that the tests call as.
type people struct {
	caller, quiet, writer person
	further               person // has the number as an identity only
	sharers               [2]person
}

// people makes them; the account must still be in its past.
func (w *world) people(t *testing.T) *people {
	t.Helper()
	p := &people{
		caller:  w.caller(t, `Ana "Anita" López`),
		quiet:   w.join(t, "Quinn Quiet", zendesktest.UserSpec{}, "closed"),
		writer:  w.caller(t, "Wanda Writer"),
		further: w.join(t, "Ida Identity", zendesktest.UserSpec{Identities: []string{"a further number"}}, "open"),
	}
	shared := w.number()
	for i, name := range []string{"Ben Both", "Beth Both"} {
		p.sharers[i] = w.join(t, name, zendesktest.UserSpec{SharedPhone: true, Phone: written(shared)}, "open")
		p.sharers[i].number = shared
	}
	return p
}
