#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "lriad/core/error.h"
#include "support/temp_folder.h"

namespace lriad {

/// A Chromium of LRIAD_CHROMIUM or the PATH; empty: none is here.
inline std::string find_chromium() {
  if (const char* named = std::getenv("LRIAD_CHROMIUM")) return named;
  const char* path = std::getenv("PATH");
  for (const char* name : {"chromium-headless-shell", "chromium"}) {
    std::istringstream folders(path == nullptr ? "" : path);
    for (std::string folder; std::getline(folders, folder, ':');) {
      const auto file = std::filesystem::path(folder) / name;
      if (access(file.c_str(), X_OK) == 0) return file.string();
    }
  }
  return "";
}

/// One page of a headless Chromium, driven by the DevTools protocol over a pair of pipes: JSON messages that end with a
/// zero byte, read by the browser from descriptor 3 and written to 4. Keeps on record what the page asks for and says.
class Browser {
 public:
  using Json = nlohmann::json;

  struct View {
    int width = 1280, height = 900;
    bool dark = false;
  };

  Browser(const std::string& program, const View& view) {
    start(program);
    const std::string target = call("Target.createTarget", {{"url", "about:blank"}}).at("targetId");
    session_ = call("Target.attachToTarget", {{"targetId", target}, {"flatten", true}}).at("sessionId");
    for (const char* domain : {"Page", "Runtime", "Log", "Network", "Performance"})
      call(std::string(domain) + ".enable");
    call("Emulation.setDeviceMetricsOverride",
         {{"width", view.width}, {"height", view.height}, {"deviceScaleFactor", 1}, {"mobile", false}});
    call("Emulation.setEmulatedMedia",
         {{"features", {{{"name", "prefers-color-scheme"}, {"value", view.dark ? "dark" : "light"}}}}});
  }
  ~Browser() {
    close(to_);
    close(from_);
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  void open(const std::filesystem::path& page) {
    loaded_ = false;
    call("Page.navigate", {{"url", "file://" + page.string()}});
    while (!loaded_) receive();
  }

  /// Value of a JavaScript expression; a promise is awaited.
  Json value(const std::string& expression) {
    const Json result =
        call("Runtime.evaluate", {{"expression", expression}, {"returnByValue", true}, {"awaitPromise", true}});
    if (result.contains("exceptionDetails")) throw std::runtime_error(expression + ": " + result.dump());
    return result.at("result").value("value", Json());
  }

  /// Processor time of the page's process so far, which other work on the machine does not lengthen as it does a
  /// clock's.
  double cpu_seconds() {
    const Json metrics = call("Performance.getMetrics").at("metrics");
    for (const Json& metric : metrics) {
      if (metric.at("name") == "ProcessTime") return metric.at("value");
    }
    throw std::runtime_error("the browser does not tell its time");
  }

  /// Waits for what the page draws before the next frame.
  void settle() { value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"); }

  /// Presses the mouse in the middle of the first element that the selector names.
  void click(const std::string& selector) {
    const Json at = value("(() => { const found = document.querySelector(" + Json(selector).dump() +
                          "); found.scrollIntoView({block: 'center'}); const box = found.getBoundingClientRect(); "
                          "return {x: box.x + box.width / 2, y: box.y + box.height / 2}; })()");
    for (const char* type : {"mousePressed", "mouseReleased"}) {
      call("Input.dispatchMouseEvent",
           {{"type", type}, {"x", at["x"]}, {"y", at["y"]}, {"button", "left"}, {"clickCount", 1}});
    }
    settle();
  }

  /// A key by its name in KeyboardEvent.key, such as ArrowRight, or one character.
  void press(const std::string& key) {
    Json event = {{"key", key}};
    for (const auto& [name, code] :
         {std::pair{"ArrowLeft", 37}, {"ArrowRight", 39}, {"Escape", 27}, {"Enter", 13}, {"Tab", 9}}) {
      if (key == name) event["windowsVirtualKeyCode"] = code;
    }
    if (key.size() == 1) event["text"] = key;
    if (key == "Enter") event["text"] = "\r";
    event["type"] = "keyDown";
    call("Input.dispatchKeyEvent", event);
    event["type"] = "keyUp";
    event.erase("text");
    call("Input.dispatchKeyEvent", event);
    settle();
  }

  void type(const std::string& text) {
    call("Input.insertText", {{"text", text}});
    settle();
  }

  const std::vector<std::string>& requests() const { return requests_; }      ///< addresses asked for
  const std::vector<std::string>& complaints() const { return complaints_; }  ///< errors and messages of the console

 private:
  void start(const std::string& program) {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("no pipes");
    const std::string profile = "--user-data-dir=" + folder_.path().string();
    process_ = fork();
    if (process_ == 0) {
      // Above 4 first, so that neither end is lost when the other takes its number.
      const int read_end = fcntl(in[0], F_DUPFD, 10), write_end = fcntl(out[1], F_DUPFD, 10);
      dup2(read_end, 3);
      dup2(write_end, 4);
      const int nowhere = ::open("/dev/null", O_WRONLY);
      dup2(nowhere, 2);
      execl(program.c_str(), program.c_str(), "--remote-debugging-pipe", "--headless", "--no-sandbox", "--disable-gpu",
            "--no-first-run", "--disable-dev-shm-usage", profile.c_str(), static_cast<char*>(nullptr));
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    to_ = in[1];
    from_ = out[0];
  }

  Json call(const std::string& method, const Json& parameters = Json::object()) {
    const int number = ++last_;
    Json message = {{"id", number}, {"method", method}, {"params", parameters}};
    if (!session_.empty()) message["sessionId"] = session_;
    const std::string bytes = message.dump() + '\0';
    for (size_t sent = 0; sent < bytes.size();) {
      const ssize_t count = write(to_, bytes.data() + sent, bytes.size() - sent);
      if (count <= 0) throw std::runtime_error("the browser is gone");
      sent += static_cast<size_t>(count);
    }
    while (true) {
      const Json answer = receive();
      if (answer.value("id", 0) != number) continue;
      if (answer.contains("error")) throw std::runtime_error(method + ": " + answer["error"].dump());
      return answer.at("result");
    }
  }

  /// The next message; events are put on record.
  Json receive() {
    size_t end = 0;
    while ((end = received_.find('\0')) == std::string::npos) {
      pollfd waiting{from_, POLLIN, 0};
      if (poll(&waiting, 1, 60'000) <= 0) throw std::runtime_error("the browser does not answer");
      char bytes[65536];
      const ssize_t count = read(from_, bytes, sizeof bytes);
      if (count <= 0) throw std::runtime_error("the browser is gone");
      received_.append(bytes, static_cast<size_t>(count));
    }
    Json message = Json::parse(received_.substr(0, end));
    received_.erase(0, end + 1);
    const std::string method = message.value("method", "");
    if (method == "Page.loadEventFired") loaded_ = true;
    if (method == "Network.requestWillBeSent") requests_.push_back(message["params"]["request"]["url"]);
    if (method == "Runtime.exceptionThrown" || method == "Runtime.consoleAPICalled" || method == "Log.entryAdded")
      complaints_.push_back(message["params"].dump());
    return message;
  }

  const TempFolder folder_;
  pid_t process_ = 0;
  int to_ = -1, from_ = -1, last_ = 0;
  bool loaded_ = false;
  std::string session_, received_;
  std::vector<std::string> requests_, complaints_;
};

}  // namespace lriad
