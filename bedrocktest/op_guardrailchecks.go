package bedrocktest

import (
	"encoding/json"
	"regexp"
	"slices"
	"unicode/utf8"
)

// InvokeGuardrailChecks: checks that a request describes itself. The service
// asks classifiers; the server knows a few words and patterns, so that code can
// be tested that a check finds something or nothing. Source: the service's model
// of bedrockruntime v1.57 (shapes, enumerations).

var (
	checkRoles  = []string{"user", "assistant", "system"}
	filterWords = map[string]*regexp.Regexp{
		"VIOLENCE":   regexp.MustCompile(`(?i)\b(kill|murder|stab|bomb)\w*`),
		"HATE":       regexp.MustCompile(`(?i)\b(hate|inferior race|vermin)\w*`),
		"SEXUAL":     regexp.MustCompile(`(?i)\b(porn|naked|nude)\w*`),
		"MISCONDUCT": regexp.MustCompile(`(?i)\b(steal|hack|counterfeit|launder)\w*`),
		"INSULTS":    regexp.MustCompile(`(?i)\b(idiot|moron|stupid)\w*`),
	}
	attackWords = map[string]*regexp.Regexp{
		"JAILBREAK":        regexp.MustCompile(`(?i)(pretend you have no rules|do anything now|without any restrictions)`),
		"PROMPT_INJECTION": regexp.MustCompile(`(?i)(ignore|disregard|forget) (all |your |the )*(previous |prior )?(instructions|rules)`),
		"PROMPT_LEAKAGE":   regexp.MustCompile(`(?i)(reveal|repeat|print|show)( me)? (your|the) (system prompt|instructions)`),
	}
	entityPatterns = map[string]*regexp.Regexp{
		"AWS_ACCESS_KEY":                    regexp.MustCompile(`\b(AKIA|ASIA)[A-Z0-9]{16}\b`),
		"CREDIT_DEBIT_CARD_NUMBER":          regexp.MustCompile(`\b\d{4}([ -]?\d{4}){3}\b`),
		"EMAIL":                             regexp.MustCompile(`\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}\b`),
		"INTERNATIONAL_BANK_ACCOUNT_NUMBER": regexp.MustCompile(`\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b`),
		"IP_ADDRESS":                        regexp.MustCompile(`\b\d{1,3}(\.\d{1,3}){3}\b`),
		"MAC_ADDRESS":                       regexp.MustCompile(`\b[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}\b`),
		"PHONE":                             regexp.MustCompile(`\+?\d{1,3}[ -]\d{3}[ -]\d{3,4}[ -]\d{4}\b`),
		"URL":                               regexp.MustCompile(`\bhttps?://\S+`),
		"US_SOCIAL_SECURITY_NUMBER":         regexp.MustCompile(`\b\d{3}-\d{2}-\d{4}\b`),
	}
	// The entities that the service finds and the server does not.
	otherEntities = []string{"ADDRESS", "AGE", "AWS_SECRET_KEY", "CA_HEALTH_NUMBER", "CA_SOCIAL_INSURANCE_NUMBER", "CREDIT_DEBIT_CARD_CVV",
		"CREDIT_DEBIT_CARD_EXPIRY", "DRIVER_ID", "LICENSE_PLATE", "NAME", "PASSWORD", "PIN", "SWIFT_CODE", "UK_NATIONAL_HEALTH_SERVICE_NUMBER",
		"UK_NATIONAL_INSURANCE_NUMBER", "UK_UNIQUE_TAXPAYER_REFERENCE_NUMBER", "USERNAME", "US_BANK_ACCOUNT_NUMBER", "US_BANK_ROUTING_NUMBER",
		"US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER", "US_PASSPORT_NUMBER", "VEHICLE_IDENTIFICATION_NUMBER"}
)

// foundScore is the severity of what was found, and the confidence in it.
const foundScore = 0.9

type checkRequest struct {
	Checks *struct {
		ContentFilter        *checkCategories `json:"contentFilter"`
		PromptAttack         *checkCategories `json:"promptAttack"`
		SensitiveInformation *struct {
			Entities []struct {
				Type string `json:"type"`
			} `json:"entities"`
		} `json:"sensitiveInformation"`
	} `json:"checks"`
	Messages []struct {
		Role    string `json:"role"`
		Content []struct {
			Text *string `json:"text"`
		} `json:"content"`
	} `json:"messages"`
}

type checkCategories struct {
	Categories []struct {
		Category string `json:"category"`
	} `json:"categories"`
}

func (s *Server) invokeGuardrailChecks(x *exchange) *Reply {
	var body checkRequest
	if err := json.Unmarshal(x.req.Body, &body); err != nil {
		return unreadable(err)
	}
	var v violations
	body.validate(&v)
	if r := v.reply(); r != nil {
		return r
	}
	results, usage := object{}, object{}
	units := object{"textUnits": (body.characters() + 999) / 1000}
	c := body.Checks
	if c.ContentFilter != nil {
		results["contentFilter"], usage["contentFilter"] = body.score(c.ContentFilter, filterWords), units
	}
	if c.PromptAttack != nil {
		results["promptAttack"], usage["promptAttack"] = body.score(c.PromptAttack, attackWords), units
	}
	if c.SensitiveInformation != nil {
		results["sensitiveInformation"], usage["sensitiveInformation"] = object{"results": body.entities(), "truncated": false}, units
	}
	if len(results) == 0 {
		return invalid("The checks field must set at least one of the following keys: contentFilter, promptAttack, sensitiveInformation.")
	}
	return result(object{"results": results, "usage": usage})
}

const atLeastOne = "Member must have length greater than or equal to 1"

func (body *checkRequest) validate(v *violations) {
	if len(body.Messages) == 0 {
		v.missing("messages")
	}
	for i, m := range body.Messages {
		at := "messages." + itoa(i+1) + ".member"
		v.oneOf(m.Role, at+".role", checkRoles...)
		if len(m.Content) == 0 {
			v.list(at+".content", atLeastOne)
		}
		for j, c := range m.Content {
			if c.Text == nil {
				v.missing(at + ".content." + itoa(j+1) + ".member.text")
			}
		}
	}
	c := body.Checks
	if c == nil {
		v.missing("checks")
		return
	}
	c.ContentFilter.validate(v, "checks.contentFilter.categories", filterWords)
	c.PromptAttack.validate(v, "checks.promptAttack.categories", attackWords)
	if c.SensitiveInformation == nil {
		return
	}
	if len(c.SensitiveInformation.Entities) == 0 {
		v.list("checks.sensitiveInformation.entities", atLeastOne)
	}
	for i, e := range c.SensitiveInformation.Entities {
		v.oneOf(e.Type, "checks.sensitiveInformation.entities."+itoa(i+1)+".member.type", entityTypes()...)
	}
}

func entityTypes() []string {
	types := append(sortedKeys(entityPatterns), otherEntities...)
	slices.Sort(types)
	return types
}

func (c *checkCategories) validate(v *violations, at string, known map[string]*regexp.Regexp) {
	if c == nil {
		return
	}
	if len(c.Categories) == 0 {
		v.list(at, atLeastOne)
	}
	for i, asked := range c.Categories {
		v.oneOf(asked.Category, at+"."+itoa(i+1)+".member.category", sortedKeys(known)...)
	}
}

// texts calls fn with each text and where it is.
func (body *checkRequest) texts(fn func(message, block int, text string)) {
	for i, m := range body.Messages {
		for j, c := range m.Content {
			fn(i, j, *c.Text)
		}
	}
}

func (body *checkRequest) characters() (n int) {
	body.texts(func(_, _ int, text string) { n += utf8.RuneCountInString(text) })
	return n
}

// score is the severity of each category that was asked for.
func (body *checkRequest) score(c *checkCategories, known map[string]*regexp.Regexp) object {
	found := []object{}
	for _, asked := range c.Categories {
		severity := 0.0
		body.texts(func(_, _ int, text string) {
			if known[asked.Category].MatchString(text) {
				severity = foundScore
			}
		})
		found = append(found, object{"category": asked.Category, "severityScore": severity})
	}
	return object{"results": found}
}

// entities are those that were asked for and found; offsets are in characters.
func (body *checkRequest) entities() []object {
	found := []object{}
	for _, asked := range body.Checks.SensitiveInformation.Entities {
		re := entityPatterns[asked.Type]
		if re == nil {
			continue
		}
		body.texts(func(message, block int, text string) {
			for _, at := range re.FindAllStringIndex(text, maxEntities) {
				begin := utf8.RuneCountInString(text[:at[0]])
				found = append(found, object{
					"type": asked.Type, "messageIndex": message, "contentIndex": block, "confidenceScore": foundScore,
					"beginOffset": begin, "endOffset": begin + utf8.RuneCountInString(text[at[0]:at[1]]),
				})
			}
		})
	}
	return found
}

// maxEntities bounds what is found of one type in one text.
const maxEntities = 100
