package proxy

import (
	"context"
	"math"
	"net/http"
	"time"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/routing"
	"aniproxy/internal/speech"
)

const jsonType = "application/json"

// lookup answers 200 for every business outcome: a flow's retry on anything
// else would double the silence that the caller hears.
func (s *Server) lookup(c *call) error {
	in, err := s.read(c)
	if err != nil {
		return err
	}
	ticketID := in.whole(paramTicketID)
	answer, err := s.ask(c, &in, ticketID != 0 || s.o.TicketPolicy.LatestOfShared)
	if err != nil {
		return err
	}
	v := s.view(answer, ticketID, in.optional(paramLang))
	v.decision = s.route(&v, &in)
	c.outcome = v.choice.Outcome
	s.tell(c, &v.choice)
	buffer, text, ssml := s.buffer(), s.buffer(), s.buffer()
	*text, *ssml = s.speak(*text, *ssml, &v)
	v.text, v.ssml = *text, *ssml
	*buffer = appendLookup(*buffer, &v, c.client.fields)
	c.write(http.StatusOK, jsonType, *buffer)
	s.release(buffer)
	s.release(text)
	s.release(ssml)
	return nil
}

// speak says what the caller hears.
func (s *Server) speak(text, ssml []byte, v *view) (spokenText, spokenSSML []byte) {
	call := speech.Call{Known: v.choice.Caller != nil, Ticket: v.choice.Tickets[0], Now: s.clock()}
	if call.Known {
		call.Others = v.choice.Unresolved - 1
		// An answer that may be out of date still tells of a ticket; that
		// there is none it cannot know.
		call.TicketsUnknown = v.answer.Stale
		if !v.choice.Guessed {
			call.FirstName = v.user().FirstName()
		}
	}
	return v.voice.Append(text, ssml, &call)
}

// route decides where the call should go, by what is known here and by what
// the flow knows more of.
func (s *Server) route(v *view, in *params) routing.Decision {
	if s.o.Router == nil {
		return routing.Default(v.choice.Tickets[0])
	}
	f := routing.Facts{
		Outcome: v.choice.Outcome, Ticket: v.choice.Tickets[0], Unresolved: v.choice.Unresolved,
		Language: v.voice.Tag, AgentsAvailable: -1, EWT: -1, Now: s.clock(),
	}
	if v.choice.Caller != nil {
		f.User = &v.choice.Caller.User
	}
	if n := in.known(paramAgents); n >= 0 {
		f.AgentsAvailable = int(min(n, math.MaxInt32))
	}
	if ms := in.known(paramEWT); ms >= 0 {
		f.EWT = time.Duration(min(ms, longestWait.Milliseconds())) * time.Millisecond
	}
	if dnis := in.optional(paramDNIS); dnis != "" {
		f.DNIS, _ = s.o.Numbers.Key(dnis)
	}
	return s.o.Router.Decide(&f)
}

// longestWait bounds what a flow may say of a queue: no rule looks beyond.
const longestWait = 1000 * time.Hour

// ask asks the resolver, within the deadline. Only a request without the key
// "ani" is at fault; a number that is not to be read is an outcome.
func (s *Server) ask(c *call, in *params, withTickets bool) (caller.Answer, error) {
	if in[paramANI].kind == absent {
		return caller.Answer{}, errBadRequest(`the key "ani" is missing`)
	}
	number, ok := in.number()
	if !ok {
		c.outcome, c.source = caller.Invalid, caller.FromNowhere
		return caller.Answer{Outcome: caller.Invalid, Reason: ani.ReasonMalformed, Source: caller.FromNowhere}, nil
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.o.Deadline)
	defer cancel()
	a := s.o.Resolver.Lookup(ctx, caller.Query{
		ANI: number, Fresh: in.flag(paramFresh), WithTickets: withTickets, AllowLive: c.client.allowLive,
	})
	c.outcome, c.source = a.Outcome, a.Source
	return a, nil
}

// view chooses what is told: of whom, about which ticket, in which language.
func (s *Server) view(a caller.Answer, ticketID int64, lang string) view {
	v := view{answer: a, choice: s.o.TicketPolicy.Choose(a, ticketID), agentBase: s.o.AgentBase, agents: s.agents}
	v.voice = s.o.Voices.For(lang, v.user().Locale)
	return v
}
