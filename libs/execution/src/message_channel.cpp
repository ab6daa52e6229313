#include "message_channel.hpp"

#include <memory>
#include <utility>

#include <warpwright/base/descriptor.hpp>

#include "socket_transport.hpp"

namespace warpwright::execution {
namespace {

std::string text_of(const store::Json& head) {
  return head.dump(-1, ' ', false, store::Json::error_handler_t::replace);
}

}  // namespace

MessageChannel::MessageChannel(int descriptor, int doorbell)
    : MessageChannel(std::make_unique<SocketTransport>(Descriptor(descriptor), "the other process", doorbell)) {}

std::string MessageChannel::frame(const Message& message) {
  return SocketTransport::bytes(text_of(message.head), message.payload);
}

void MessageChannel::send(const Message& message, int patience_ms) {
  post(message);
  transport_->drain(patience_ms);
}

void MessageChannel::send_in_passing(const Message& message) {
  transport_->post(text_of(message.head), message.payload, Transport::Wake::in_passing);
  transport_->drain();
}

void MessageChannel::post(const Message& message) { transport_->post(text_of(message.head), message.payload); }

std::optional<LastWords> MessageChannel::last_words(const Message& message) const {
  return transport_->last_words(text_of(message.head), message.payload);
}

bool MessageChannel::read_available() {
  transport_->quiet();
  for (;;) {
    const Transport::Got got = read_some();
    if (got != Transport::Got::some) return got == Transport::Got::nothing;
  }
}

Transport::Got MessageChannel::read_some() {
  if (damage_ && whole_.empty()) throw Error(*damage_);
  if (damage_) return Transport::Got::end;
  try {
    return transport_->read_some(*this);
  } catch (const Error& error) {
    damage_ = error;
    if (whole_.empty()) throw;
    return Transport::Got::nothing;
  }
}

void MessageChannel::on_head(std::string_view head) {
  store::Json parsed = store::Json::parse(head.begin(), head.end(), nullptr,
                                          false);  // an exception's text would quote the garbage
  if (parsed.is_discarded()) throw Error(ErrorCode::corrupted, "a message from " + transport_->peer() + " is garbled");
  head_ = std::move(parsed);
}

void MessageChannel::on_payload(std::string payload) {
  whole_.push_back({*std::exchange(head_, std::nullopt), std::move(payload)});
}

std::optional<Message> MessageChannel::next() {
  if (whole_.empty()) {
    if (damage_) throw Error(*damage_);
    return std::nullopt;
  }
  Message message = std::move(whole_.front());
  whole_.pop_front();
  return message;
}

std::optional<Message> MessageChannel::receive() {
  for (;;) {
    if (auto message = next()) return message;
    const Transport::Got got = read_some();
    if (got == Transport::Got::end) return next();
    if (got == Transport::Got::nothing && whole_.empty()) transport_->wait_for_news();
  }
}

}  // namespace warpwright::execution
