package ani

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"runtime/debug"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// rules is the version of this package's own rules. Raise it with any change
// that makes a text another class or another number.
const rules = 1

const library = "github.com/nyaruka/phonenumbers"

// fingerprint hashes what a key depends on. The library counts twice: by the
// version of its code, where the build says which, and by its numbering plans,
// which are what an update of it mostly changes.
func fingerprint(regions []string) (string, error) {
	plans, err := phonenumbers.MetadataCollection()
	if err != nil {
		return "", fmt.Errorf("reading the numbering plans: %w", err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "rules %d, regions %s, code %s\n", rules, strings.Join(regions, " "), libraryVersion())
	for _, plan := range plans.GetMetadata() {
		hashPlan(h, plan)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// hashPlan takes what parsing and validation read of a plan, not how it wants
// numbers to be written.
func hashPlan(h hash.Hash, p *phonenumbers.PhoneMetadata) {
	fmt.Fprintf(h, "%s %d %t %q %q %q %q\n", p.GetId(), p.GetCountryCode(), p.GetMainCountryForCode(),
		p.GetInternationalPrefix(), p.GetNationalPrefixForParsing(),
		p.GetNationalPrefixTransformRule(), p.GetLeadingDigits())
	for _, kind := range []*phonenumbers.PhoneNumberDesc{
		p.GetGeneralDesc(), p.GetFixedLine(), p.GetMobile(), p.GetTollFree(), p.GetPremiumRate(),
		p.GetSharedCost(), p.GetPersonalNumber(), p.GetVoip(), p.GetPager(), p.GetUan(), p.GetVoicemail(),
	} {
		fmt.Fprintf(h, "%q %v %v\n", kind.GetNationalNumberPattern(),
			kind.GetPossibleLength(), kind.GetPossibleLengthLocalOnly())
	}
}

// libraryVersion is the version that the binary was built with. A test binary
// does not know: there the plans have to do.
func libraryVersion() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return versionAmong(build.Deps)
}

func versionAmong(modules []*debug.Module) string {
	for _, module := range modules {
		if module.Path != library {
			continue
		}
		if module.Replace != nil {
			module = module.Replace
		}
		return module.Version + " " + module.Sum
	}
	return ""
}
