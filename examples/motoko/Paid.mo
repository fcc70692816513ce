/// All of the payment code.
import Blob "mo:core/Blob";
import Error "mo:core/Error";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import Set "mo:core/Set";
import Tollkeeper "Tollkeeper";

module {
  /// What the canister remembers: each id in `used` was paid for, and each number in `sales` is that of an event.
  public type Books = { tollkeeper : Principal; used : Set.Set<Blob>; sales : Set.Set<Nat64> };

  /// Whether `caller` has bought this path with this payment, which is used up with that.
  public func once(books : Books, caller : Principal, path : Text, payment_id : Blob) : async* { #Ok; #Err : Text } {
    let seller : Tollkeeper.Interface = actor (Principal.toText(books.tollkeeper));
    let access = try {
      // A call between canisters: consensus answers, not one node.
      await (with timeout = 60) seller.access({ payer = caller; payment_id; method = "GET"; path });
    } catch (error) { return #Err(error.message()) };
    switch access {
      case (#Err(refusal)) #Err(debug_show refusal);
      // There is no await from here on: of two calls with one payment, one is the first.
      case (#Ok _) if (books.used.insert(Blob.compare, payment_id)) #Ok else #Err("this payment was used before");
    };
  };

  /// Notes a sale. What is only settled may be refunded yet. An event may come more than once; its id tells.
  public func note(books : Books, caller : Principal, event : Tollkeeper.PaymentEvent) {
    if (caller != books.tollkeeper) Runtime.trap("only the Tollkeeper tells of payments");
    if (event.kind == #Delivered) books.sales.add(Nat64.compare, event.event_id);
  };
};
