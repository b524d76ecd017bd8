//! Who may do what: ownership, grants, membership, defaults; and the text of access control lists.
//!
//! Owns no state: descriptors hold the lists. A right is held by the owner, by PUBLIC's grants, or by a grant to the role
//! or to any role whose rights it inherits. A superuser holds all.

use crate::Snapshot;
use crate::descriptor::*;
use types::functions::quote_ident;
use types::{Oid, SqlError, SqlState};

/// What a right is held on.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    Relation(&'a Relation),
    Column(&'a Relation, &'a Column),
    Schema(&'a Schema),
    Database(&'a Database),
    Function(&'a Function),
    Operator(&'a Operator),
}

/// Levels of membership that are followed.
const MEMBERSHIP_DEPTH_MAX: usize = 64;

impl Target<'_> {
    pub fn owner(&self) -> Oid {
        match self {
            Target::Relation(r) | Target::Column(r, _) => r.owner,
            Target::Schema(s) => s.owner,
            Target::Database(d) => d.owner,
            Target::Function(f) => f.owner,
            Target::Operator(o) => o.owner,
        }
    }

    /// The list in force: what was granted, or the default of that kind.
    pub fn list(&self) -> Vec<Grant> {
        let stored = match self {
            Target::Relation(r) => &r.privileges,
            Target::Column(_, c) => return c.privileges.clone().flatten_list(),
            Target::Schema(s) => &s.privileges,
            Target::Database(d) => &d.privileges,
            Target::Function(f) => &f.privileges,
            // Operators have no rights but their owner's: who may call the function may use the operator.
            Target::Operator(_) => return vec![],
        };
        stored.clone().unwrap_or_else(|| self.default_list())
    }

    /// PostgreSQL's default: the owner has all; PUBLIC may use types, execute functions, connect to databases and make TEMP tables
    /// there.
    pub fn default_list(&self) -> Vec<Grant> {
        let owner = self.owner();
        let own = Grant { grantee: owner, grantor: owner, rights: self.all(), grantable: 0 };
        match self {
            Target::Column(..) | Target::Operator(_) => vec![],
            Target::Relation(r) if r.is_type() => {
                vec![Grant { grantee: 0, grantor: owner, rights: privilege::USAGE, grantable: 0 }, own]
            }
            Target::Database(_) => {
                let rights = privilege::CREATE_TEMP | privilege::CONNECT;
                vec![Grant { grantee: 0, grantor: owner, rights, grantable: 0 }, own]
            }
            Target::Function(_) => {
                vec![Grant { grantee: 0, grantor: owner, rights: privilege::EXECUTE, grantable: 0 }, own]
            }
            _ => vec![own],
        }
    }

    /// All rights that this kind of object has.
    pub fn all(&self) -> u32 {
        match self {
            Target::Relation(r) if r.kind == RelationKind::Sequence => privilege::ALL_SEQUENCE,
            Target::Relation(r) if r.is_type() => privilege::USAGE,
            Target::Relation(_) => privilege::ALL_TABLE,
            Target::Column(..) => privilege::ALL_COLUMN,
            Target::Schema(_) => privilege::ALL_SCHEMA,
            Target::Database(_) => privilege::ALL_DATABASE,
            Target::Function(_) => privilege::EXECUTE,
            Target::Operator(_) => 0,
        }
    }

    /// `table t`, as in "permission denied for table t".
    pub fn describe(&self) -> String {
        match self {
            Target::Relation(r) | Target::Column(r, _) => format!("{} {}", r.kind_name(), r.name),
            Target::Schema(s) => format!("schema {}", s.name),
            Target::Database(d) => format!("database {}", d.name),
            Target::Function(f) => format!("function {}", f.name),
            Target::Operator(o) => format!("operator {}", o.name),
        }
    }

    fn database(&self) -> Oid {
        match self {
            Target::Relation(r) | Target::Column(r, _) => r.database,
            Target::Schema(s) => s.database,
            Target::Database(d) => d.id,
            Target::Function(f) => f.database,
            Target::Operator(o) => o.database,
        }
    }
}

trait FlattenList {
    fn flatten_list(self) -> Vec<Grant>;
}

impl FlattenList for Option<Privileges> {
    fn flatten_list(self) -> Vec<Grant> {
        self.flatten().unwrap_or_default()
    }
}

pub fn is_superuser(catalog: &Snapshot, role: Oid) -> bool {
    catalog.role(role).is_some_and(|r| r.is_superuser)
}

/// Whether `member` is `role` or belongs to it, directly or not. With `inherited`, only through roles that inherit, so
/// that its rights are there without SET ROLE. Superusers belong to every role.
fn belongs(catalog: &Snapshot, member: Oid, role: Oid, database: Oid, inherited: bool) -> bool {
    if member == role || is_superuser(catalog, member) {
        return true;
    }
    if role == DATABASE_OWNER_ROLE {
        let owner = catalog.database(database).map(|d| d.owner);
        return owner.is_some_and(|owner| belongs(catalog, member, owner, database, inherited));
    }
    let mut seen = vec![member];
    let mut front = vec![member];
    for _ in 0..MEMBERSHIP_DEPTH_MAX {
        let mut next = vec![];
        for descriptor in front.iter().filter_map(|id| catalog.role(*id)).filter(|r| !inherited || r.inherit) {
            for (parent, _, _) in &descriptor.member_of {
                if *parent == role {
                    return true;
                }
                if !seen.contains(parent) {
                    seen.push(*parent);
                    next.push(*parent);
                }
            }
        }
        if next.is_empty() {
            return false;
        }
        front = next;
    }
    false
}

/// Whether `member` may SET ROLE to `role`.
pub fn is_member(catalog: &Snapshot, member: Oid, role: Oid) -> bool {
    belongs(catalog, member, role, 0, false)
}

/// Whether `member` has the rights of `role` as it is.
pub fn has_rights_of(catalog: &Snapshot, member: Oid, role: Oid, database: Oid) -> bool {
    belongs(catalog, member, role, database, true)
}

/// Whether the role owns the object, or has its owner's rights.
pub fn is_owner(catalog: &Snapshot, role: Oid, target: Target<'_>) -> bool {
    has_rights_of(catalog, role, target.owner(), target.database())
}

/// Those of `rights` that the role holds.
pub fn held(catalog: &Snapshot, role: Oid, target: Target<'_>, rights: u32) -> u32 {
    if is_superuser(catalog, role) {
        return rights;
    }
    let mut held = 0;
    for grant in target.list() {
        let counts = grant.grantee == 0 || has_rights_of(catalog, role, grant.grantee, target.database());
        if counts {
            held |= grant.rights;
        }
    }
    held |= predefined_rights(catalog, role, target);
    held & rights
}

/// What pg_read_all_data and pg_write_all_data give.
fn predefined_rights(catalog: &Snapshot, role: Oid, target: Target<'_>) -> u32 {
    const READ_ALL: Oid = 6181;
    const WRITE_ALL: Oid = 6182;
    let has = |id| has_rights_of(catalog, role, id, target.database());
    match target {
        Target::Relation(_) | Target::Column(..) => {
            let read = if has(READ_ALL) { privilege::SELECT } else { 0 };
            let write = privilege::INSERT | privilege::UPDATE | privilege::DELETE;
            read | if has(WRITE_ALL) { write } else { 0 }
        }
        Target::Schema(_) if has(READ_ALL) || has(WRITE_ALL) => privilege::USAGE,
        _ => 0,
    }
}

/// Whether the role holds all of `rights`.
pub fn has_privilege(catalog: &Snapshot, role: Oid, target: Target<'_>, rights: u32) -> bool {
    held(catalog, role, target, rights) == rights
}

/// Whether the role may do `rights` to these columns: by a right on the relation, or on each column. No columns
/// (`SELECT count(*)`): a right on any column will do.
pub fn has_column_privilege(
    catalog: &Snapshot,
    role: Oid,
    relation: &Relation,
    columns: &[AttributeNumber],
    rights: u32,
) -> bool {
    if has_privilege(catalog, role, Target::Relation(relation), rights) {
        return true;
    }
    let may = |column: &Column| has_privilege(catalog, role, Target::Column(relation, column), rights);
    if columns.is_empty() {
        return relation.live_columns().any(may);
    }
    columns.iter().all(|number| relation.column(*number).is_some_and(may))
}

/// 42501 "permission denied for table t".
pub fn denied(target: Target<'_>) -> SqlError {
    SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied for {}", target.describe()))
}

/// 42501 "must be owner of table t".
pub fn not_owner(target: Target<'_>) -> SqlError {
    SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be owner of {}", target.describe()))
}

/// `Err` unless the role holds all of `rights`.
pub fn require(catalog: &Snapshot, role: Oid, target: Target<'_>, rights: u32) -> Result<(), SqlError> {
    if has_privilege(catalog, role, target, rights) { Ok(()) } else { Err(denied(target)) }
}

/// `Err` unless the role owns the object.
pub fn require_owner(catalog: &Snapshot, role: Oid, target: Target<'_>) -> Result<(), SqlError> {
    if is_owner(catalog, role, target) { Ok(()) } else { Err(not_owner(target)) }
}

/// Whose name a GRANT is made in: the owner where the role has the owner's rights, else the role itself if it holds
/// grant options. Gives the grantor and the rights it may grant.
pub fn grantor(catalog: &Snapshot, role: Oid, target: Target<'_>) -> (Oid, u32) {
    if is_owner(catalog, role, target) {
        return (target.owner(), target.all());
    }
    let options = target.list().iter().filter(|g| g.grantee == role).fold(0, |all, g| all | g.grantable);
    (role, options)
}

/// Adds rights to a list.
pub fn grant(list: &mut Vec<Grant>, grantee: Oid, grantor: Oid, rights: u32, with_option: bool) {
    let grantable = if with_option { rights } else { 0 };
    match list.iter_mut().find(|g| g.grantee == grantee && g.grantor == grantor) {
        Some(entry) => {
            entry.rights |= rights;
            entry.grantable |= grantable;
        }
        None => list.push(Grant { grantee, grantor, rights, grantable }),
    }
}

/// Takes rights (or only their grant options) from what `grantor` gave to `grantee`. With `cascade`, also what the
/// grantee gave on; without, 2BP01 if there is such.
pub fn revoke(
    list: &mut Vec<Grant>,
    grantee: Oid,
    grantor: Oid,
    rights: u32,
    option_only: bool,
    cascade: bool,
) -> Result<(), SqlError> {
    let mut lost = 0;
    for entry in list.iter_mut().filter(|g| g.grantee == grantee && g.grantor == grantor) {
        lost |= entry.grantable & rights;
        entry.grantable &= !rights;
        if !option_only {
            entry.rights &= !rights;
        }
    }
    list.retain(|g| g.rights != 0);
    // Another grantor may have given the same option; only what is gone altogether has dependents.
    let kept = list.iter().filter(|g| g.grantee == grantee).fold(0, |all, g| all | g.grantable);
    lost &= !kept;
    let dependents: Vec<Oid> = list
        .iter()
        .filter(|g| g.grantor == grantee && g.grantee != grantee && g.rights & lost != 0)
        .map(|g| g.grantee)
        .collect();
    if grantee == grantor || dependents.is_empty() {
        return Ok(());
    }
    if !cascade {
        return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, "dependent privileges exist")
            .hint("Use CASCADE to revoke them too."));
    }
    for dependent in dependents {
        revoke(list, dependent, grantee, lost, false, true)?;
    }
    Ok(())
}

/// Letters of rights, in bit order.
const LETTERS: &str = "arwdDxtXUCTcsA";

fn role_name(catalog: &Snapshot, role: Oid) -> String {
    match catalog.role(role) {
        _ if role == 0 => String::new(),
        Some(role) => quote_ident(&role.name).to_string(),
        None => role.to_string(),
    }
}

/// `alice=arw*/postgres`.
pub fn aclitem(catalog: &Snapshot, grant: &Grant) -> String {
    let mut text = role_name(catalog, grant.grantee);
    text.push('=');
    for (bit, letter) in LETTERS.chars().enumerate() {
        if grant.rights & (1 << bit) != 0 {
            text.push(letter);
        }
        if grant.grantable & (1 << bit) != 0 {
            text.push('*');
        }
    }
    text.push('/');
    text.push_str(&role_name(catalog, grant.grantor));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::new_role;
    use crate::test_support::{column, snapshot, table};
    use types::SqlType;

    const ALICE: Oid = 20_001;
    const BOB: Oid = 20_002;
    const TEAM: Oid = 20_003;

    /// bob belongs to team; a table of alice's.
    fn catalog() -> (Snapshot, Relation) {
        let mut catalog = snapshot();
        let mut bob = new_role(BOB, "bob");
        bob.member_of.push((TEAM, false, POSTGRES_ROLE));
        for role in [new_role(ALICE, "alice"), bob, new_role(TEAM, "team")] {
            catalog.put(Object::Role(role));
        }
        let mut t = table(20_010, "t", vec![column(1, "a", SqlType::INT4), column(2, "b", SqlType::INT4)]);
        t.owner = ALICE;
        (catalog, t)
    }

    #[test]
    fn rights_come_from_owner_public_membership_and_superuser() {
        let (catalog, mut t) = catalog();
        let select = |t: &Relation, role| has_privilege(&catalog, role, Target::Relation(t), privilege::SELECT);
        assert!(select(&t, ALICE) && select(&t, POSTGRES_ROLE));
        assert!(!select(&t, BOB));
        t.privileges = Some(vec![Grant { grantee: TEAM, grantor: ALICE, rights: privilege::SELECT, grantable: 0 }]);
        assert!(select(&t, BOB) && select(&t, TEAM));
        assert!(!select(&t, ALICE), "an owner can revoke its own rights");
        t.privileges = Some(vec![Grant { grantee: 0, grantor: ALICE, rights: privilege::SELECT, grantable: 0 }]);
        assert!(select(&t, BOB));
        assert_eq!(denied(Target::Relation(&t)).message(), "permission denied for table t");
    }

    #[test]
    fn a_role_without_inherit_has_no_rights_of_its_groups_but_may_become_them() {
        let (mut catalog, mut t) = catalog();
        let mut bob = (**catalog.role(BOB).unwrap()).clone();
        bob.inherit = false;
        catalog.put(Object::Role(bob));
        t.privileges = Some(vec![Grant { grantee: TEAM, grantor: ALICE, rights: privilege::SELECT, grantable: 0 }]);
        assert!(!has_privilege(&catalog, BOB, Target::Relation(&t), privilege::SELECT));
        assert!(is_member(&catalog, BOB, TEAM));
    }

    #[test]
    fn column_rights_count_where_the_table_gives_none() {
        let (catalog, mut t) = catalog();
        let grants = Some(vec![Grant { grantee: BOB, grantor: ALICE, rights: privilege::SELECT, grantable: 0 }]);
        t.columns[0].privileges = Some(grants);
        let may = |columns: &[i16]| has_column_privilege(&catalog, BOB, &t, columns, privilege::SELECT);
        assert!(may(&[1]) && may(&[]));
        assert!(!may(&[1, 2]));
    }

    #[test]
    fn the_databases_owner_owns_public() {
        let (mut catalog, _) = catalog();
        let mut database = (**catalog.database(POSTGRES_DATABASE).unwrap()).clone();
        database.owner = ALICE;
        catalog.put(Object::Database(database));
        let public = catalog.schema(PUBLIC_SCHEMA).unwrap().clone();
        assert!(has_privilege(&catalog, ALICE, Target::Schema(&public), privilege::CREATE));
        assert!(!has_privilege(&catalog, BOB, Target::Schema(&public), privilege::CREATE));
        assert!(has_privilege(&catalog, BOB, Target::Schema(&public), privilege::USAGE));
    }

    #[test]
    fn revoking_a_grant_option_takes_what_was_granted_on() {
        let (catalog, t) = catalog();
        let mut list = Target::Relation(&t).default_list();
        grant(&mut list, TEAM, ALICE, privilege::SELECT, true);
        grant(&mut list, BOB, TEAM, privilege::SELECT, false);
        let text: Vec<String> = list.iter().map(|g| aclitem(&catalog, g)).collect();
        assert_eq!(text, ["alice=arwdDxt/alice", "team=r*/alice", "bob=r/team"]);
        let mut kept = list.clone();
        assert!(revoke(&mut kept, TEAM, ALICE, privilege::SELECT, false, false).is_err());
        revoke(&mut list, TEAM, ALICE, privilege::SELECT, false, true).unwrap();
        assert_eq!(list.len(), 1);
    }
}
