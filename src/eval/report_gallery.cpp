#include <cstdio>
#include <map>
#include <set>

#include "lriad/core/error.h"
#include "lriad/eval/map_figures.h"
#include "lriad/eval/predictions.h"
#include "report_page.h"

namespace lriad {
namespace {

struct OutcomeText {
  const char* kind;  ///< class and data-kind of the card
  const char* tag;
};

OutcomeText outcome_text(Outcome outcome) {
  switch (outcome) {
    case Outcome::kMissed:
      return {"missed", "missed defect"};
    case Outcome::kFalseAlarm:
      return {"alarm", "false alarm"};
    case Outcome::kInvalid:
      return {"invalid", "invalid"};
    case Outcome::kUnreadable:
      return {"unreadable", "unreadable"};
    case Outcome::kRight:
      return {"right", "right"};
    case Outcome::kUnlabelled:
      break;
  }
  return {"plain", "no label"};
}

/// What stands between the thinking tags, else the whole text.
std::string reasoning_of(const std::string& text) {
  constexpr std::string_view kOpen = "<think>", kClose = "</think>";
  const size_t open = text.find(kOpen);
  const size_t close = text.find(kClose);
  std::string inner = text;
  if (open != std::string::npos && close != std::string::npos && open + kOpen.size() <= close) {
    inner = text.substr(open + kOpen.size(), close - open - kOpen.size());
  }
  const size_t first = inner.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return inner.substr(first, inner.find_last_not_of(" \t\r\n") - first + 1);
}

std::string label_text(const Prediction& p) {
  if (!p.label) return "none";
  if (*p.label == Verdict::kNormal || p.defect_type.empty()) return verdict_name(*p.label);
  return concat(verdict_name(*p.label), " (", p.defect_type, ")");
}

std::string score_text(const Prediction& p) {
  if (!p.score) return "–";
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", *p.score);
  return text;
}

std::string image_html(const GalleryCard& card) {
  const std::string inner = card.thumbnail.empty()
                                ? std::string("image not readable")
                                : concat("<img loading=lazy decoding=async alt=\"", html_escape(card.prediction->image),
                                         "\" src=\"", card.thumbnail, "\"", card.tiny ? " class=tiny" : "", ">");
  if (card.original.empty()) return concat("<span class=image>", inner, "</span>");
  return concat("<a class=image href=\"", card.original, "\" target=_blank rel=noopener>", inner, "</a>");
}

/// The page lies in a folder beside that of the maps.
std::string map_html(const Prediction& p) {
  if (!p.map) return "";
  return concat("<div class=file><a href=\"../", url_path(p.map->file),
                "\" target=_blank rel=noopener>map</a>: ", html_escape(deletion_text(*p.map)), "</div>");
}

std::string card_html(const GalleryCard& card) {
  const Prediction& p = *card.prediction;
  const OutcomeText outcome = outcome_text(outcome_of(p));
  const bool invalid = !p.unreadable() && p.verdict == Verdict::kInvalid;
  const std::string words = invalid ? p.text : p.unreadable() ? p.error : reasoning_of(p.text);
  const std::string quote = words.empty() ? "" : concat("<blockquote>", html_escape(words), "</blockquote>");
  const std::string cut = p.truncated ? " (cut off)" : "";
  return concat("<article class=\"card ", outcome.kind, "\" data-kind=", outcome.kind, " data-object=\"",
                html_escape(p.object), "\">", image_html(card), "<div class=text><div class=top><span class=object>",
                html_escape(p.object), "</span><span class=tag>", outcome.tag, "</span></div><dl><dt>answer</dt><dd>",
                verdict_text(p), cut, "</dd><dt>label</dt><dd>", html_escape(label_text(p)), "</dd><dt>score</dt><dd>",
                score_text(p), "</dd></dl>", quote, map_html(p), "<div class=file>", html_escape(p.image),
                "</div></div></article>\n");
}

std::string button_html(const char* kind, const char* name, int64_t count, bool pressed) {
  if (count == 0) return "";
  return concat("<button type=button data-kind=", kind, " aria-pressed=", pressed ? "true" : "false", ">", name, " ",
                count, "</button>");
}

std::string filters_html(const std::vector<GalleryCard>& cards) {
  std::map<Outcome, int64_t> counts;
  std::set<std::string> objects;
  for (const GalleryCard& card : cards) {
    ++counts[outcome_of(*card.prediction)];
    objects.insert(card.prediction->object);
  }
  std::string html =
      concat("<div class=filters>", button_html("all", "All", static_cast<int64_t>(cards.size()), true),
             button_html("wrong", "Wrong", counts[Outcome::kMissed] + counts[Outcome::kFalseAlarm], false),
             button_html("missed", "Missed defects", counts[Outcome::kMissed], false),
             button_html("alarm", "False alarms", counts[Outcome::kFalseAlarm], false),
             button_html("invalid", "Invalid", counts[Outcome::kInvalid], false),
             button_html("unreadable", "Unreadable", counts[Outcome::kUnreadable], false),
             button_html("right", "Right", counts[Outcome::kRight], false),
             "<select id=object aria-label=Object><option value=\"\">all objects</option>");
  for (const std::string& name : objects)
    html += concat("<option value=\"", html_escape(name), "\">", html_escape(name), "</option>");
  return html +
         "</select><input id=words type=search placeholder=\"words in the answer\" aria-label=Words>"
         "</div>\n<p class=lead id=count></p>\n";
}

}  // namespace

std::string gallery_html(const std::vector<GalleryCard>& cards, int64_t total) {
  std::string html = "<h2>Images</h2>\n";
  const int64_t shown = static_cast<int64_t>(cards.size());
  if (shown < total) {
    html += concat("<p class=lead>", shown, " of ", total,
                   " are shown here, mistakes first; predictions.jsonl holds all of them.</p>\n");
  }
  html += filters_html(cards) + "<div class=gallery>\n";
  for (const GalleryCard& card : cards) html += card_html(card);
  return html + "</div>\n";
}

}  // namespace lriad
