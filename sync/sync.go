// Package sync keeps the mirror up: it walks Zendesk's exports and hands what
// it reads to the store, on a schedule and on request.
//
// A run follows both streams, users and tickets, each from its saved cursor to
// its end, at the same time, because Zendesk counts them in budgets of their
// own. Every page goes to the store in one batch with the cursor after it, so
// that a run can end at any page, by a fault or a kill, and the next one goes
// on there. The first run ever is the fill: users from the beginning of their
// export, tickets by a search for all that are unresolved, and from just before
// that by their export (seed.go). At the end of a stream stands its watermark:
// the moment up to which it is known.
//
// There are two lanes, and one run at a time in each:
//
//   - The lane of increments follows the streams and owns their positions. A
//     request while it runs joins that run. Where one stream has ended and the
//     other is still being filled, which can take a day, such a request makes
//     the first one be followed again: nothing waits for the other's fill.
//   - The lane of walks reads everything, beside the living mirror: a full run
//     to take in what was missed and to find what has gone without a word
//     (sweep.go), a comparison to tell how true the mirror is (verify.go). The
//     versions of the records decide what counts. Increments go on meanwhile
//     in their own lane, so answers do not age while a walk goes on for hours.
//     A walk asked for while an increment runs begins after it; a request
//     joins the run of its own mode that goes on or waits. Where a full run
//     stands is on disk: a restart goes on with it.
//
// A full run asked for before both streams have ever reached their end is
// the fill itself, since that reads everything: it joins the fill that goes
// on, or is it, in the lane of increments. A comparison is refused until then.
//
// Where an export brings what Zendesk has said "not found" of, and it cannot be
// told which is later, the object is asked for before the run goes on
// (settle.go).
//
// What the exports do not show, people's further numbers, is read beside the
// runs by a goroutine of its own from the store's list of debts, see
// identities.go; it is no part of a run, and its faults fail none.
//
// Beside the runs, too, single people and tickets are read by id: those that
// webhooks tell of (intake.go), one person whom an admin asks for (errand.go),
// everybody's identities round and round (round.go), and random ones to be
// compared, which measures how true the mirror is (sample.go).
//
// This file: what a Syncer is made of. jobs.go: requests and runs. follow.go:
// what a run does with a stream. walk.go: reading a stream page by page.
// schedule.go: cron. progress.go: what is told of it all.
package sync

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	stdsync "sync"
	"time"

	"github.com/robfig/cron/v3"

	"aniproxy/internal/caller"
	"aniproxy/internal/status"
)

var (
	// ErrStopped says that a run was asked for after the end.
	ErrStopped = errors.New("the mirror's upkeep has stopped")
	// ErrRunning says that Run was called a second time.
	ErrRunning = errors.New("the mirror's upkeep has been started already")
)

// Page is what a source answers, in the domain's terms.
type Page = caller.Page

// Request is what it is asked.
type Request = caller.PageRequest

// records counts what a page holds.
func records(p *Page) int { return len(p.Users) + len(p.Tickets) }

// Reader reads what Zendesk has of single people and tickets, on one share of
// the budget. Its errors are [caller.UpstreamError]; it has retried what can
// be, and waited as long as Zendesk said. All of it may be called from several
// goroutines.
type Reader interface {
	// Identities reads up to 100 users with their identities; ids that Zendesk
	// does not have any more come back as gone.
	Identities(ctx context.Context, userIDs []int64) ([]caller.UserUpdate, []caller.Gone, error)
	// ShowTickets reads up to 100 tickets of any status; ids that Zendesk does
	// not show any more, deleted ones among them, come back as gone.
	ShowTickets(ctx context.Context, ticketIDs []int64) ([]caller.TicketUpdate, []caller.Gone, error)
	// Tickets reads a user's tickets; the reading says whether those are all.
	Tickets(ctx context.Context, userID int64) (caller.Reading, error)
	// Search finds users whose profile phone ends in the digits; complete is
	// false where there were more hits than a search may show.
	Search(ctx context.Context, digits string) (hits []caller.UserUpdate, complete bool, err error)
}

// Source is Zendesk as the syncer sees it: whole streams, and single objects
// on what is left of the budget.
type Source interface {
	Reader
	// Export reads one page.
	Export(ctx context.Context, r Request) (*Page, error)
	// Unresolved reads one page of all unresolved tickets there are, by the
	// search export; an empty cursor is the first. Its records are as old as
	// [caller.SearchLag] and say so. A cursor is good for an hour.
	Unresolved(ctx context.Context, cursor string) (*Page, error)
}

// Store is the mirror on disk as the syncer sees it.
type Store interface {
	// Apply writes a batch and its positions, and returns once it is on disk.
	// Where the change has objects in doubt, Position and Sweep were not moved.
	Apply(ctx context.Context, b caller.Batch) (caller.Change, error)
	Streams() caller.Streams
	// Due lists users whose identities are to be read, by ascending id.
	Due(after int64, limit int) ([]int64, error)
	// Prune forgets what left long ago.
	Prune(ctx context.Context) (int, error)
	Size() caller.Size

	// Sweep is the full walk under way, Round the rolling re-read.
	Sweep() (caller.Sweep, error)
	Round() (caller.Round, error)
	// IDs lists what the mirror holds of a stream, living users or unresolved
	// tickets, by ascending id after the given one.
	IDs(stream caller.Stream, after int64, limit int) ([]int64, error)
	// Unseen lists those that no source has confirmed since a moment. It looks
	// at a bounded number of records: next is where to go on, 0 at the end.
	Unseen(stream caller.Stream, since time.Time, after int64) (ids []int64, next int64, err error)
	// Sample draws up to n different ids of a stream at random.
	Sample(stream caller.Stream, n int, random func() uint64) ([]int64, error)
	// Compare tells in what the mirror is not as a batch's records are, which
	// are taken to be the truth, whatever their versions. What is left out of
	// the batch is not looked at.
	Compare(b caller.Batch) ([]caller.Difference, error)
	// OpenTickets lists the unresolved tickets of a user.
	OpenTickets(userID int64) ([]int64, error)
	// Holders lists who has a number in E.164, of any role.
	Holders(e164 string) ([]int64, error)
}

// Options are what a Syncer is made of; Source, Store and Logger are required.
type Options struct {
	Source Source
	Store  Store
	Logger *slog.Logger
	// Prompt reads what webhooks have told of, and whom an admin asks for, on a
	// share of the budget that is kept for that; nil is Source.
	Prompt Reader
	// DeleteGuard is the share of the mirror, of either kind, that one full run
	// may take out, from 100 records up; 1 takes out anything, 0 nothing. As much
	// may go within a day by what is read unasked beside the runs.
	DeleteGuard float64
	// Random draws samples; nil is math/rand/v2.
	Random func() uint64

	// Schedule and FullSchedule are cron's five fields or a descriptor such as
	// "@every 1m", in the zone Location (nil is UTC); "" never fires.
	Schedule, FullSchedule string
	Location               *time.Location
	// OnStart begins with an incremental run.
	OnStart bool
	// Identities has people's further numbers read.
	Identities bool

	// SampleEvery is how often random records are compared with Zendesk; 0 is a
	// minute, less than that never.
	SampleEvery time.Duration
	// RoundTakes is how long the rolling re-read of everybody's identities takes
	// at the least; 0 is six hours, less than that has none.
	RoundTakes time.Duration

	Clock func() time.Time // nil is time.Now
	NewID func() string    // makes the ids of jobs; nil is 10 random letters and digits

	// FirstFillRecords is how many records one transaction of a fill gathers;
	// 0 is 20,000. They come at about 1 KB, so a batch is some 20 MB.
	FirstFillRecords int
}

// Syncer keeps the mirror up. Run does the work; all other methods may be
// called from any goroutine at any time, before and after Run too.
type Syncer struct {
	source      Source
	store       Store
	log         *slog.Logger
	clock       func() time.Time
	newID       func() string
	onStart     bool
	identities  bool
	fillRecords int
	deleteGuard float64
	cron        *cron.Cron

	// places are held from reading a stream's position to writing the next, so
	// that the two lanes do not overwrite each other's.
	places struct{ users, tickets stdsync.Mutex }
	wake   chan struct{} // something may be started
	debts  chan struct{} // identities may be due

	prompt      Reader // what webhooks and admins ask for is read here
	random      func() uint64
	notices     *queue
	sampleEvery time.Duration
	roundTakes  time.Duration
	sampler     sampler

	mu         stdsync.Mutex
	phase      phase
	increments lane
	walks      lane
	last       []status.Job // newest first
	success    time.Time
	lastError  string
	lagging    bool // the last run in the lane of increments failed
	awaited    bool // the first one of this process is due and has not ended well yet
	skipped    uint64
	unreadable []string
	paying     *track // nil while no identities are read
	errands    errands
	round      status.Round
	departed   map[caller.Stream]*departed
}

// phase is where a Syncer is in its life.
type phase int

const (
	fresh phase = iota
	working
	stopped
)

// New makes a Syncer and reads its schedules; nothing runs before Run.
func New(o Options) (*Syncer, error) {
	s := &Syncer{
		source: o.Source, store: o.Store, log: o.Logger, clock: o.Clock, newID: o.NewID,
		onStart: o.OnStart, identities: o.Identities, fillRecords: o.FirstFillRecords, deleteGuard: o.DeleteGuard,
		wake: make(chan struct{}, 1), debts: make(chan struct{}, 1),
		prompt: o.Prompt, random: o.Random, notices: newQueue(), errands: errands{wake: make(chan struct{}, 1)}, departed: map[caller.Stream]*departed{},
		sampleEvery: cmp.Or(o.SampleEvery, sampleEvery), roundTakes: cmp.Or(o.RoundTakes, roundTakes),
	}
	if s.prompt == nil {
		s.prompt = o.Source
	}
	if s.random == nil {
		s.random = mathrand.Uint64
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.newID == nil {
		s.newID = func() string { return rand.Text()[:10] }
	}
	if s.fillRecords == 0 {
		s.fillRecords = 20_000
	}
	if err := s.plan(o); err != nil {
		return nil, err
	}
	return s, nil
}

// Run keeps the mirror up until ctx ends. It then stops what runs, after the
// page that is being written, and returns once every goroutine has ended. What
// was requested before is begun first. A Syncer runs once.
func (s *Syncer) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.phase != fresh {
		s.mu.Unlock()
		return ErrRunning
	}
	s.phase = working
	s.mu.Unlock()

	if s.onStart {
		if _, err := s.Start(status.Request{Mode: modeIncremental, Trigger: triggerStart}); err != nil {
			return err
		}
	}
	s.resumeSweep(ctx)
	var wg stdsync.WaitGroup
	if s.identities {
		wg.Go(func() { s.payDebts(ctx) })
	}
	s.startReading(ctx, &wg)
	s.cron.Start()
	for ctx.Err() == nil {
		for _, r := range s.dispatch() {
			wg.Go(func() { s.execute(ctx, r) })
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
		}
	}
	s.stop()
	<-s.cron.Stop().Done()
	wg.Wait()
	return nil
}

// startReading starts what reads single objects beside the runs: for webhooks,
// for admins, and what is left of the budget, round and round and at random.
func (s *Syncer) startReading(ctx context.Context, wg *stdsync.WaitGroup) {
	for _, stream := range []caller.Stream{caller.Users, caller.Tickets} {
		wg.Go(func() { s.fetchNotices(ctx, stream) })
	}
	wg.Go(func() { s.runErrands(ctx) })
	if s.identities && s.roundTakes > 0 {
		wg.Go(func() { s.goRounds(ctx) })
	}
	if s.sampleEvery > 0 {
		wg.Go(func() { s.sampling(ctx) })
	}
}

// place is the lock of a stream's position.
func (s *Syncer) place(stream caller.Stream) *stdsync.Mutex {
	if stream == caller.Users {
		return &s.places.users
	}
	return &s.places.tickets
}

// position is how far a stream has come, as of the last commit.
func (s *Syncer) position(stream caller.Stream) caller.Position {
	streams := s.store.Streams()
	p := streams.Tickets
	if stream == caller.Users {
		p = streams.Users
	}
	p.Stream = stream
	return p
}

// poke wakes whoever waits on c; a second poke before that adds nothing.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
