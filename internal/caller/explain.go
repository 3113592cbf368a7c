package caller

import "time"

// How a person comes to have a number.
const (
	ByProfile  = "profile"
	ByIdentity = "identity"
	ByBoth     = "profile_and_identity"
)

// Held is one person as the mirror holds them, with what an explanation needs
// beside the answer itself.
type Held struct {
	Caller Caller
	// By says how the person has the number: ByProfile, ByIdentity or ByBoth.
	By      string
	Version Version
	// IdentitiesSeen is when the person's identities were last read, by our
	// clock; zero where they never were. IdentitiesDue is true while they wait
	// to be read again.
	IdentitiesSeen time.Time
	IdentitiesDue  bool
	// Withheld says in a word why the person is none of the candidates: "role".
	// "" for a candidate.
	Withheld string
}

// Explanation is how the resolver would answer a query now, step by step, from
// what is known here: explaining asks Zendesk nothing.
type Explanation struct {
	// Text is the number as it came; Class, Reason and E164 are how it was read.
	Text, Class, Reason, E164 string
	// Memory says what the nearest tier holds: "answer", "nobody", "nothing",
	// or, where it holds something that may not be given, why: "changed",
	// "expired", "unproven".
	Memory string
	// Held are all people of the number, of any role.
	Held []Held
	// Answer is what would be answered without asking Zendesk.
	Answer Answer
	// Streams is how far the mirror has come.
	Streams Streams
	// Upstream are the calls that a lookup would make now, as method and
	// endpoint in order, and UpstreamWhy says why in a word; none where the
	// answer needs none.
	Upstream    []string
	UpstreamWhy string
	// Walked is when Zendesk itself was last asked who has the number; zero
	// where it was not, or where memory has forgotten.
	Walked time.Time
	// Refreshing is true while a refresh behind an answer is under way, and
	// RefreshNotBefore is the earliest time of the next one.
	Refreshing       bool
	RefreshNotBefore time.Time
}
