#include "replay_findings.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "lriad/core/error.h"

namespace lriad {
namespace {

constexpr double kFarAbove = 5;  // a metric is far above the others at this multiple of the batch's median

}  // namespace

void mark(std::vector<Finding>& findings, double Finding::*metric, const std::string& name) {
  std::vector<double> finite;
  for (const Finding& finding : findings) {
    if (std::isfinite(finding.*metric) && finding.*metric > 0) finite.push_back(finding.*metric);
  }
  const auto middle = finite.begin() + static_cast<std::ptrdiff_t>(finite.size() / 2);
  if (!finite.empty()) std::nth_element(finite.begin(), middle, finite.end());
  for (Finding& finding : findings) {
    const char* what = nullptr;
    if (!std::isfinite(finding.*metric)) what = " not finite";
    if (!finite.empty() && finding.*metric > kFarAbove * *middle) what = " far above the others";
    if (what != nullptr) finding.marks += concat(finding.marks.empty() ? "" : ", ", name, what);
  }
}

void print_findings(const std::vector<Finding>& findings) {
  std::cout << "\nprompt gen tokens advantage        loss  mean logp   min logp          KL   grad norm  sample\n";
  for (const Finding& f : findings) {
    std::cout << std::setw(6) << f.prompt_index << std::setw(4) << f.generation << std::setw(7) << f.tokens
              << std::setprecision(4);
    std::cout << std::setw(10) << f.advantage;
    for (const double value : {f.loss, f.mean_logp, f.min_logp, f.kl, f.grad_norm}) {
      std::cout << ' ' << std::setw(11) << value;
    }
    std::cout << "  " << f.sample_id << (f.marks.empty() ? "" : "  <- ") << f.marks << '\n';
  }
  for (const Finding& f : findings) {
    if (f.marks.empty()) continue;
    // Written as JSON, since a completion may contain control characters.
    const nlohmann::json text = f.text;
    std::cout << "\nprompt " << f.prompt_index << ", generation " << f.generation << ": "
              << text.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) << '\n';
  }
}

void print_totals(const StepHealth& before, const StepHealth& now) {
  std::cout << std::setprecision(10) << "\n              recorded               now\n";
  const auto line = [](const char* name, double then, double later) {
    std::cout << std::left << std::setw(10) << name << std::right << std::setw(18) << then << std::setw(18) << later
              << '\n';
  };
  line("loss", before.loss, now.loss);
  line("kl", before.kl, now.kl);
  line("grad_norm", before.grad_norm, now.grad_norm);
}

}  // namespace lriad
