package main

import (
	"net/http"
	"strconv"
	"time"
)

type eraseCommand struct {
	User int64 `required:"" help:"The person's Zendesk id." placeholder:"ID"`
	Lift bool  `help:"Take the tombstone away again, so that the mirror may hold the person."`
	daemon
}

// erased is the answer of DELETE /v1/admin/users/{id}.
type erased struct {
	Complete bool   `json:"complete"`
	Until    string `json:"until"`
	Steps    []struct {
		Name  string `json:"name"`
		State string `json:"state"`
		Count int64  `json:"count"`
		Note  string `json:"note"`
	} `json:"steps"`
}

// eraseAgain is how often an erasure that is not complete is asked for again;
// each of its steps may be taken twice.
const eraseAgain = 2 * time.Second

func (k *eraseCommand) Run(c *console) error {
	if k.User <= 0 {
		return &exit{code: exitUsage, text: "--user is a Zendesk id, a number above 0; `aniproxy lookup` shows it behind the name"}
	}
	path := "/v1/admin/users/" + strconv.FormatInt(k.User, 10)
	if k.Lift {
		return k.lift(c, path+"/tombstone")
	}
	for {
		var e erased
		if _, err := k.ask(c.ctx, http.MethodDelete, path, nil, &e); err != nil {
			return err
		}
		e.print(c)
		if e.Complete {
			if e.mirrored() == 0 {
				c.printf("nobody of the id %d was here; they are kept out all the same, until --lift\n", k.User)
				return nil
			}
			c.printf("user %d is erased here, and kept out until --lift. Zendesk and old backups still have them.\n", k.User)
			return nil
		}
		again := time.NewTimer(eraseAgain)
		select {
		case <-again.C:
		case <-c.ctx.Done():
			again.Stop()
			return &exit{code: exitFailed, text: "no longer waiting; the erasure goes on, at the latest until " + e.Until}
		}
	}
}

// units are what the steps count; memory is emptied and counts nothing.
var units = map[string]string{"tombstone": "", "mirror": "people and tickets", "outbox": "records", "overwrite": "pages"}

// mirrored is what the mirror held.
func (e *erased) mirrored() int64 {
	for _, s := range e.Steps {
		if s.Name == "mirror" {
			return s.Count
		}
	}
	return 0
}

func (e *erased) print(c *console) {
	for _, s := range e.Steps {
		c.printf("%-10s %-8s", s.Name, s.State)
		if unit := units[s.Name]; unit != "" {
			c.printf(" %6d %s", s.Count, unit)
		}
		if s.Note != "" {
			c.printf("  %s", s.Note)
		}
		c.printf("\n")
	}
}

func (k *eraseCommand) lift(c *console, path string) error {
	var answer struct {
		Lifted bool `json:"lifted"`
	}
	if _, err := k.ask(c.ctx, http.MethodDelete, path, nil, &answer); err != nil {
		return err
	}
	if !answer.Lifted {
		c.printf("user %d had no tombstone\n", k.User)
		return nil
	}
	c.printf("the tombstone of user %d is lifted; `aniproxy resync --user %d` brings them back now\n", k.User, k.User)
	return nil
}
