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
	answer, err := s.ask(c, &in, s.withTickets(&in))
	if err != nil {
		return err
	}
	ticket := in.whole(paramTicketID)
	if ticket != 0 && answer.Outcome == caller.Ambiguous {
		// The right ticket opens one of those who share the number, so trying
		// tickets on it is reading them out by id.
		if err := s.countPerson(c.client, ticket); err != nil {
			c.outcome, c.source = "", ""
			return err
		}
	}
	v := s.view(answer, ticket, in.optional(paramLang))
	v.decision = s.route(&v, &in)
	c.outcome = v.choice.Outcome
	s.tell(c, &v.choice)
	buffer := s.buffer()
	*buffer = s.appendAnswer(*buffer, &v, c.client.fields)
	c.write(http.StatusOK, jsonType, *buffer)
	s.release(buffer)
	return nil
}

// withTickets tells whether the tickets of every sharer are needed: to find the
// one that was keyed in, or the latest of all.
func (s *Server) withTickets(in *params) bool {
	return in.whole(paramTicketID) != 0 || s.o.TicketPolicy.LatestOfShared
}

// appendAnswer appends what a flow is told, with what the caller hears.
func (s *Server) appendAnswer(dst []byte, v *view, readable fieldSet) []byte {
	text, ssml := s.buffer(), s.buffer()
	call := s.utterance(v)
	*text, *ssml = v.voice.Append(*text, *ssml, &call)
	v.text, v.ssml = *text, *ssml
	dst = appendLookup(dst, v, readable)
	v.text, v.ssml = nil, nil // they go back
	s.release(text)
	s.release(ssml)
	return dst
}

// utterance is what the voice is given to speak of.
func (s *Server) utterance(v *view) speech.Call {
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
	return call
}

// route decides where the call should go, by what is known here and by what
// the flow knows more of.
func (s *Server) route(v *view, in *params) routing.Decision {
	if s.o.Router == nil {
		return routing.Default(v.choice.Tickets[0])
	}
	f := s.factsOf(v, in)
	return s.o.Router.Decide(&f)
}

// factsOf is what rules are held against.
func (s *Server) factsOf(v *view, in *params) routing.Facts {
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
	return f
}

// longestWait bounds what a flow may say of a queue: no rule looks beyond.
const longestWait = 1000 * time.Hour

// ask asks the resolver, within the deadline. Past the client's limit of
// different numbers it is an error, and nothing is told or noted of the answer.
func (s *Server) ask(c *call, in *params, withTickets bool) (caller.Answer, error) {
	q, readable, err := question(in, withTickets)
	if err != nil {
		return caller.Answer{}, err
	}
	if !readable {
		c.outcome, c.source = caller.Invalid, caller.FromNowhere
		return noNumber(), nil
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), s.o.Deadline)
	defer cancel()
	q.AllowLive = s.mayAskZendesk(c.client, q.ANI)
	a := s.o.Resolver.Lookup(ctx, q)
	if err := s.countNumber(c.client, &a); err != nil {
		return caller.Answer{}, err
	}
	c.outcome, c.source = a.Outcome, a.Source
	return a, nil
}

// question is what the resolver is asked. Only a request without the key "ani"
// is at fault; a number that is not to be read is an outcome, and no question
// to anybody: readable is false then.
func question(in *params, withTickets bool) (q caller.Query, readable bool, err error) {
	if in[paramANI].kind == absent {
		return q, false, errBadRequest(`the key "ani" is missing`)
	}
	number, ok := in.number()
	return caller.Query{ANI: number, Fresh: in.flag(paramFresh), WithTickets: withTickets}, ok, nil
}

// noNumber is the answer to what is no text at all.
func noNumber() caller.Answer {
	return caller.Answer{Outcome: caller.Invalid, Reason: ani.ReasonMalformed, Source: caller.FromNowhere}
}

// view chooses what is told: of whom, about which ticket, in which language.
func (s *Server) view(a caller.Answer, ticketID int64, lang string) view {
	v := view{answer: a, choice: s.o.TicketPolicy.Choose(a, ticketID), agentBase: s.o.AgentBase, agents: s.agents}
	v.voice = s.o.Voices.For(lang, v.user().Locale)
	return v
}
