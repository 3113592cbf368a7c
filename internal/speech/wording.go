package speech

import "golang.org/x/text/language"

// wordingOf finds the sentences for a voice, nil where there are none for its
// language. They are in the register that is customary on the phone (usted,
// vous, Sie, Lei, u), name no time of day, which the proxy does not know where
// the caller is, and no gender of caller or staff.
func wordingOf(tag language.Tag) *[kinds]string {
	base, _ := tag.Base()
	switch base.String() {
	case "de":
		return &german
	case "en":
		return &english
	case "es":
		return &spanish
	case "fr":
		return &french
	case "it":
		return &italian
	case "nl":
		return &dutch
	case "pt":
		if european(tag) {
			return &portugueseOfPortugal
		}
		return &portuguese
	default:
		return nil
	}
}

// european tells the Portuguese of Portugal, and of the countries that CLDR
// has inherit from it (Angola, Mozambique …), from that of Brazil.
func european(tag language.Tag) bool {
	return tag == language.EuropeanPortuguese || tag.Parent() == language.EuropeanPortuguese
}
