package proxy

import (
	"context"
	"net/http"

	"aniproxy/internal/ani"
	"aniproxy/internal/caller"
	"aniproxy/internal/routing"
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
	answer, err := s.ask(c, &in, ticketID != 0)
	if err != nil {
		return err
	}
	v := s.view(answer, ticketID, in.optional(paramLang))
	c.outcome = v.choice.Outcome
	buffer := s.buffer()
	*buffer = appendLookup(*buffer, &v, c.client.fields)
	c.write(http.StatusOK, jsonType, *buffer)
	s.release(buffer)
	return nil
}

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

// view chooses what is told: whom, about which ticket, in which language.
func (s *Server) view(a caller.Answer, ticketID int64, lang string) view {
	v := view{answer: a, choice: s.o.TicketPolicy.Choose(a, ticketID), agentBase: s.o.AgentBase, agents: s.agents}
	v.decision = routing.Default(v.choice.Tickets[0])
	v.voice = s.voices.For(lang, v.user().Locale)
	return v
}
